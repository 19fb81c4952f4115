import { describe, expect, it } from 'vitest'
import { networkOf, orderServers } from '../../../../src/cm/client/server-list.ts'

function servers(...hosts: string[]) {
  return hosts.map((host) => ({ host, port: 8081 }))
}

describe('orderServers', () => {
  it('puts direct servers before Tor, Tor before I2P, and keeps every server', () => {
    const list = servers('a.i2p', 'b.onion', 'c.example', 'd.onion', 'e.example')
    const ordered = orderServers(list, () => 0)
    expect(ordered.map(networkOf)).toEqual(['direct', 'direct', 'tor', 'tor', 'i2p'])
    expect(new Set(ordered)).toEqual(new Set(list))
  })

  it.each([
    ['tor', ['tor', 'tor', 'direct', 'direct', 'i2p']],
    ['i2p', ['i2p', 'tor', 'tor', 'direct', 'direct']],
  ] as const)('with %s preferred tries %j', (preferred, order) => {
    const list = servers('a.i2p', 'b.onion', 'c.example', 'd.onion', 'e.example')
    expect(orderServers(list, () => 0, preferred).map(networkOf)).toEqual(order)
  })

  it('gives every order of equal servers the same chance', () => {
    const seen = new Set<string>()
    // All outcomes of two random choices, below 3 and below 2.
    for (const first of [0, 1, 2]) {
      for (const second of [0, 1]) {
        const choices = [first, second]
        const ordered = orderServers(servers('a', 'b', 'c'), () => choices.shift() ?? 0)
        seen.add(ordered.map(({ host }) => host).join(''))
      }
    }
    expect(seen.size).toBe(6)
  })

  it('recognises networks by the end of the name only', () => {
    expect(networkOf({ host: 'onion.example', port: 1 })).toBe('direct')
    expect(networkOf({ host: 'X.ONION', port: 1 })).toBe('tor')
  })
})

import { describe, expect, it } from 'vitest'
import { postRoutes, postToLine } from '../../../src/bridge/post-routes.ts'

const NOW = { releaseMs: null, nowMs: 1000 }

describe('postRoutes', () => {
  const mixed = 'server=cm.example:8081,abcdefgh.onion:8081'
  const onion = { host: 'abcdefgh.onion', port: 8081 }
  const direct = { host: 'cm.example', port: 8081 }
  const own = { kind: 'own-server', postTo: `Post-To: ${mixed}\n` }

  it.each([
    ['nothing by proxy', [], [{ kind: 'direct', servers: [direct, onion] }]],
    ['onions by proxy', ['tor'], [{ kind: 'direct', servers: [direct] }, own]],
    ['everything by proxy', ['direct', 'tor', 'i2p'], [own]],
  ] as const)('with %s', (_, byProxy, routes) => {
    expect(postRoutes(mixed, { byProxy, ...NOW })).toEqual(routes)
  })

  it('of a message that is not due lead to the own server alone', () => {
    const routes = postRoutes(mixed, { byProxy: [], releaseMs: 2000, nowMs: 1000 })
    expect(routes).toEqual([{ ...own, afterMs: 2000 }])
    expect(postRoutes(mixed, { byProxy: [], releaseMs: 2000, nowMs: 2000 })[0]?.kind).toBe('direct')
  })

  it('are none to Entangled and to nonsense, with and without a proxy', () => {
    for (const target of ['entangled', 'embargo:server=cm.example:8081', 'server=', '']) {
      expect(postRoutes(target, { byProxy: ['direct'], releaseMs: 2000, nowMs: 1000 })).toEqual([])
      expect(postRoutes(target, { byProxy: ['direct', 'tor', 'i2p'], ...NOW })).toEqual([])
    }
  })
})

describe('servers with an IPv6 literal', () => {
  it('are not handed to the own server, whose sender may be the reference’s', () => {
    expect(postToLine('server=[2001:db8::1]:8081,cm.example:8081')).toBe('Post-To: server=cm.example:8081\n')
    expect(postToLine('server=[2001:db8::1]:8081')).toBeUndefined()
    const rules = { byProxy: ['direct'], ...NOW } as const
    expect(postRoutes('server=[2001:db8::1]:8081', rules)).toEqual([])
    expect(postRoutes('server=[2001:db8::1]:8081', { ...rules, releaseMs: 2000 })).toEqual([])
  })
})

describe('postToLine', () => {
  it('names servers only', () => {
    expect(postToLine('SERVER=CM.Example:8081')).toBe('Post-To: server=cm.example:8081\n')
    expect(() => postToLine('entangled')).toThrow('only blocks for servers')
    expect(() => postToLine('embargo:server=cm.example:8081')).toThrow('only blocks for servers')
  })
})

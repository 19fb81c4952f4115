import { afterEach, describe, expect, it } from 'vitest'
import { anyAddress, publicAddressesExcept } from '../../../src/net/address-guard.ts'
import { connect } from '../../../src/net/connect.ts'
import { type Listener, listen } from '../../../src/net/listen.ts'

let listener: Listener | undefined

afterEach(async () => {
  await listener?.closeAll()
  listener = undefined
})

async function echoPort(): Promise<number> {
  listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 5,
    onConnection: async (channel) => {
      for await (const chunk of channel) await channel.write(chunk)
      await channel.end()
    },
    onError: () => undefined,
  })
  return listener.addresses[0]!.port
}

describe('connect', () => {
  it('connects to the first resolved address that answers', async () => {
    const port = await echoPort()
    const resolveHost = async () => ['127.0.0.9', '127.0.0.1']
    const channel = await connect({ host: 'box.example', port, judge: anyAddress, resolveHost })
    expect(channel.remoteAddress).toBe('127.0.0.1')
    await channel.write(Buffer.from('x'))
    const read = channel[Symbol.asyncIterator]()
    expect(Buffer.from((await read.next()).value as Uint8Array).toString()).toBe('x')
    await channel.end()
  })

  it('does not contact a private address that a name from the network resolves to', async () => {
    const port = await echoPort()
    const resolveHost = async () => ['127.0.0.1', '::1', '10.0.0.1']
    const attempt = connect({ host: 'rebind.example', port, judge: publicAddressesExcept([]), resolveHost })
    await expect(attempt).rejects.toMatchObject({ name: 'ConnectError', reason: 'forbidden-address' })
    expect(listener?.connectionCount).toBe(0)
  })

  it('tells apart a name without addresses, a refused port and silence of the resolver', async () => {
    const port = await echoPort()
    await listener?.closeAll()
    const failing = async () => Promise.reject(new Error('NXDOMAIN'))
    const silent = () => new Promise<never>(() => undefined)
    const base = { host: 'x.example', port, judge: anyAddress }
    await expect(connect({ ...base, resolveHost: failing })).rejects.toMatchObject({ reason: 'unresolvable' })
    await expect(connect({ ...base, resolveHost: async () => [] })).rejects.toMatchObject({
      reason: 'unresolvable',
    })
    await expect(connect({ ...base, host: '127.0.0.1' })).rejects.toMatchObject({ reason: 'refused' })
    await expect(connect({ ...base, resolveHost: silent, timeoutMs: 20 })).rejects.toMatchObject({
      reason: 'timeout',
    })
  })
})

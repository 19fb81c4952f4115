import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { createCmServerCertificate } from '../../../src/net/certificates.ts'
import { ListenError, type Listener, type ListenOptions, listen } from '../../../src/net/listen.ts'
import { createServerTls } from '../../../src/net/server-tls.ts'

const open: Listener[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.closeAll()))
})

async function listenWith(options: Partial<ListenOptions>): Promise<Listener> {
  const listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 10,
    onConnection: async (channel) => {
      for await (const chunk of channel) await channel.write(chunk)
      await channel.end()
    },
    onError: (error) => {
      throw error
    },
    ...options,
  })
  open.push(listener)
  return listener
}

async function exchange(port: number, text: string): Promise<string> {
  const socket = connectSocket({ host: '127.0.0.1', port })
  socket.end(text)
  let reply = ''
  for await (const chunk of socket) reply += String(chunk)
  return reply
}

describe('listen', () => {
  it('serves several addresses at once', async () => {
    const listener = await listenWith({
      addresses: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.2', port: 0 },
      ],
    })
    expect(await exchange(listener.addresses[0]!.port, 'a')).toBe('a')
    expect(listener.addresses.map(({ host }) => host)).toEqual(['127.0.0.1', '127.0.0.2'])
  })

  it('says in one line that a port is busy and leaves nothing open', async () => {
    const first = await listenWith({})
    const { port } = first.addresses[0]!
    const failed = await listen({
      addresses: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port },
      ],
      maxConnections: 1,
      onConnection: async () => undefined,
      onError: () => undefined,
    }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(ListenError)
    expect(failed).toMatchObject({ code: 'EADDRINUSE', port, host: '127.0.0.1' })
    expect((failed as ListenError).message).toBe(
      `cannot listen on 127.0.0.1:${port}: another program uses this port`,
    )
  })

  it('leaves out an optional address this machine does not have', async () => {
    const listener = await listenWith({
      addresses: [
        { host: '127.0.0.1', port: 0 },
        { host: '203.0.113.7', port: 0, optional: true },
      ],
    })
    expect(listener.addresses).toHaveLength(1)
    await expect(listenWith({ addresses: [{ host: '203.0.113.7', port: 0 }] })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    })
  })

  it('refuses connections over the limit and frees a place when one closes', async () => {
    const listener = await listenWith({
      maxConnections: 1,
      onRefused: async (channel) => {
        await channel.write(Buffer.from('BUSY'))
        await channel.end()
      },
    })
    const { port } = listener.addresses[0]!
    const first = connectSocket({ host: '127.0.0.1', port })
    first.write('x')
    await once(first, 'data')
    expect(await exchange(port, 'y')).toBe('BUSY')
    first.end()
    await once(first, 'close')
    expect(await exchange(port, 'z')).toBe('z')
  })

  it('limits connections per remote address', async () => {
    const listener = await listenWith({ maxConnectionsPerAddress: 1 })
    const { port } = listener.addresses[0]!
    const first = connectSocket({ host: '127.0.0.1', port })
    first.write('x')
    await once(first, 'data')
    expect(await exchange(port, 'y').catch(() => '')).toBe('')
    first.destroy()
  })

  it('speaks TLS from the first byte when asked to, and survives a peer that does not', async () => {
    const tls = createServerTls(await createCmServerCertificate({ names: [], nowMs: Date.now() }))
    const listener = await listenWith({ tls: () => tls })
    const { port } = listener.addresses[0]!
    await exchange(port, 'this is no TLS record').catch(() => '')
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
    socket.end('inside')
    let reply = ''
    for await (const chunk of socket) reply += String(chunk)
    expect(reply).toBe('inside')
  })

  it('gives a fault of the handler to onError and drops the connection', async () => {
    const errors: unknown[] = []
    const listener = await listenWith({
      onConnection: () => Promise.reject(new Error('our fault')),
      onError: (error) => errors.push(error),
    })
    expect(await exchange(listener.addresses[0]!.port, 'x').catch(() => '')).toBe('')
    expect(errors).toMatchObject([{ message: 'our fault' }])
  })

  it('closeAll drops open connections and waits for their handlers', async () => {
    let returned = false
    const listener = await listenWith({
      onConnection: async (channel) => {
        await channel.write(Buffer.from('x'))
        for await (const _ of channel);
        returned = true
      },
    })
    const socket = connectSocket({ host: '127.0.0.1', port: listener.addresses[0]!.port })
    socket.on('error', () => undefined)
    await once(socket, 'data')
    await listener.closeAll()
    expect(returned).toBe(true)
  })
})

import { connect as connectSocket, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type ByteChannel,
  ChannelClosedError,
  ChannelIdleError,
  type ServerTlsContext,
  StartTlsError,
} from '../../../src/net/byte-channel.ts'
import { createCmServerCertificate } from '../../../src/net/certificates.ts'
import { type Listener, listen } from '../../../src/net/listen.ts'
import { createServerTls } from '../../../src/net/server-tls.ts'

let tls: ServerTlsContext
let listener: Listener | undefined
const clients: Socket[] = []

beforeAll(async () => {
  tls = createServerTls(await createCmServerCertificate({ names: ['localhost'], nowMs: Date.now() }))
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await listener?.closeAll()
  listener = undefined
})

/** One server side running `serve`, and a raw client socket; the returned promise settles with `serve`. */
async function connected<T>(
  serve: (channel: ByteChannel) => Promise<T>,
): Promise<{ client: Socket; served: Promise<T> }> {
  const { promise: served, resolve, reject } = Promise.withResolvers<T>()
  served.catch(() => undefined)
  listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 10,
    onConnection: (channel) => serve(channel).then(resolve, reject),
    onError: reject,
  })
  const client = connectSocket({ host: '127.0.0.1', port: listener.addresses[0]!.port })
  client.on('error', () => undefined)
  clients.push(client)
  return { client, served }
}

async function readAll(channel: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of channel) text += Buffer.from(chunk).toString('latin1')
  return text
}

async function readUntil(channel: AsyncIterable<Uint8Array>, end: string): Promise<string> {
  let text = ''
  for await (const chunk of channel) {
    text += Buffer.from(chunk).toString('latin1')
    if (text.endsWith(end)) break
  }
  return text
}

async function upgrade(client: Socket): Promise<TLSSocket> {
  const secured = connectTls({ socket: client, rejectUnauthorized: false })
  clients.push(secured)
  await new Promise<void>((resolve, reject) => {
    secured.once('secureConnect', () => resolve())
    secured.once('error', reject)
    secured.once('close', () => reject(new Error('closed')))
  })
  return secured
}

describe('SocketChannel', () => {
  it('reads what the peer sends until it closes its side, and can still answer', async () => {
    const { client, served } = await connected(async (channel) => {
      const text = await readAll(channel)
      await channel.write(Buffer.from(`got ${text}`))
      await channel.end()
      return text
    })
    client.end('hello')
    expect(await readAll(client)).toBe('got hello')
    expect(await served).toBe('hello')
  })

  it('goes on in a second loop where the first one stopped', async () => {
    const { client, served } = await connected(async (channel) => {
      const first = await readUntil(channel, '\n')
      await channel.write(Buffer.from('more\n'))
      return [first, await readUntil(channel, '\n')]
    })
    client.write('one\n')
    await readUntil(client.iterator({ destroyOnReturn: false }), '\n')
    client.write('two\n')
    expect(await served).toEqual(['one\n', 'two\n'])
  })

  it('starts TLS and goes on inside it', async () => {
    const { client, served } = await connected(async (channel) => {
      await readUntil(channel, '\n')
      await channel.write(Buffer.from('PROCEED\n'))
      await channel.startTls(tls)
      await channel.write(Buffer.from('ENCRYPTED\n'))
      const inside = await readUntil(channel, '\n')
      await channel.end()
      return { inside, secure: channel.secure }
    })
    client.write('STARTTLS\n')
    await readUntil(client.iterator({ destroyOnReturn: false }), '\n')
    const secured = await upgrade(client)
    secured.write('inside\n')
    expect(await readAll(secured)).toBe('ENCRYPTED\n')
    expect(await served).toEqual({ inside: 'inside\n', secure: true })
  })

  it('takes a ClientHello that arrives before startTls is called', async () => {
    const helloCame = Promise.withResolvers<void>()
    const { client, served } = await connected(async (channel) => {
      await readUntil(channel, '\n')
      await channel.write(Buffer.from('PROCEED\n'))
      await helloCame.promise
      await channel.startTls(tls)
      return channel.secure
    })
    client.write('STARTTLS\n')
    await readUntil(client.iterator({ destroyOnReturn: false }), '\n')
    const secured = upgrade(client)
    // The hello goes out in the next ticks; a full turn of the poll phase brings it to the other side.
    await new Promise((resolve) => setTimeout(resolve, 50))
    helloCame.resolve()
    await secured
    expect(await served).toBe(true)
  })

  it('closes the connection when plaintext lies behind STARTTLS', async () => {
    const { client, served } = await connected(async (channel) => {
      const buffered = Promise.withResolvers<void>()
      const first = await readUntil(channel, 'STARTTLS\n')
      await channel.write(Buffer.from('PROCEED\n'))
      client.write('LOGIN injected\n', () => buffered.resolve())
      await buffered.promise
      await new Promise((resolve) => setTimeout(resolve, 50))
      await channel.startTls(tls).catch((error: unknown) => {
        throw Object.assign(error as Error, { first })
      })
    })
    client.write('STARTTLS\n')
    await expect(served).rejects.toBeInstanceOf(StartTlsError)
    expect(await readAll(client).catch(() => 'reset')).toMatch(/^(PROCEED\n|reset)$/)
  })

  it('rejects startTls when the peer hangs up in the handshake', async () => {
    const { client, served } = await connected(async (channel) => {
      await channel.startTls(tls)
    })
    client.end('garbage that is no TLS record')
    await expect(served).rejects.toBeInstanceOf(StartTlsError)
  })

  it('fails a read when nothing moves for the idle time, and can still say goodbye', async () => {
    const { client, served } = await connected(async (channel) => {
      channel.setIdleTimeout(50)
      const outcome = await readAll(channel).catch((error: unknown) => error)
      await channel.write(Buffer.from('BYE\n'))
      await channel.end()
      return outcome
    })
    expect(await readAll(client)).toBe('BYE\n')
    expect(await served).toBeInstanceOf(ChannelIdleError)
  })

  it('fails a write when the peer takes nothing for the idle time', async () => {
    const { client, served } = await connected(async (channel) => {
      channel.setIdleTimeout(100)
      const chunk = Buffer.alloc(1024 * 1024)
      for (let count = 0; count < 64; count += 1) await channel.write(chunk)
    })
    client.pause()
    await expect(served).rejects.toBeInstanceOf(ChannelIdleError)
  })

  it('slows the sender down while the consumer does not read', async () => {
    const start = Promise.withResolvers<void>()
    const { client, served } = await connected(async (channel) => {
      await start.promise
      let total = 0
      for await (const chunk of channel) total += chunk.length
      return total
    })
    const chunk = Buffer.alloc(1024 * 1024)
    let sent = 0
    while (client.write(chunk) && sent < 256) sent += 1
    for (; sent < 32; sent += 1) client.write(chunk)
    client.end()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(client.writableLength).toBeGreaterThan(8 * 1024 * 1024)
    start.resolve()
    expect(await served).toBe((sent + 1) * chunk.length)
  })

  it('ends the reading and refuses to write when the peer resets', async () => {
    const { client, served } = await connected(async (channel) => {
      await readUntil(channel, '\n')
      client.resetAndDestroy()
      const rest = await readAll(channel)
      await channel.write(Buffer.from('x'))
      return rest
    })
    client.write('\n')
    await expect(served).rejects.toBeInstanceOf(ChannelClosedError)
  })
})

import { afterEach, describe, expect, it } from 'vitest'
import { anyAddress, judgeUnresolved, publicAddressesExcept } from '../../../src/net/address-guard.ts'
import type { ByteChannel } from '../../../src/net/byte-channel.ts'
import { type Listener, listen } from '../../../src/net/listen.ts'
import { connectThroughSocks, type SocksConnectOptions } from '../../../src/net/socks-connect.ts'
import {
  SOCKS_OK,
  type SocksServer,
  type SocksServerOptions,
  startSocksServer,
} from '../../support/socks-server.ts'

const GREETING = 'CONFIDANT MAIL SERVER PROTOCOL 1 READY\r\n'
const CREDENTIALS = { user: 'some-user', password: 'some-password' }

let listener: Listener | undefined
let proxy: SocksServer | undefined

afterEach(async () => {
  await proxy?.close()
  await listener?.closeAll()
  proxy = undefined
  listener = undefined
})

/** A target that speaks first, as CM servers do, and echoes. */
async function targetPort(): Promise<number> {
  listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 5,
    onConnection: async (channel) => {
      await channel.write(Buffer.from(GREETING))
      for await (const chunk of channel) await channel.write(chunk)
      await channel.end()
    },
    onError: () => undefined,
  })
  return listener.addresses[0]!.port
}

async function through(
  server: SocksServerOptions,
  target: Partial<SocksConnectOptions> = {},
): Promise<ByteChannel> {
  proxy = await startSocksServer(server)
  return connectThroughSocks({
    proxy: { host: '127.0.0.1', port: proxy.port },
    host: 'cm.example.org',
    port: 8081,
    judge: anyAddress,
    ...target,
  })
}

async function read(channel: ByteChannel, bytes: number): Promise<string> {
  let text = ''
  for await (const chunk of channel) {
    text += Buffer.from(chunk).toString('latin1')
    if (text.length >= bytes) break
  }
  return text
}

function failureOf(attempt: Promise<ByteChannel>): Promise<unknown> {
  return attempt.then(
    () => 'connected',
    (error: unknown) => error,
  )
}

function requestFor(type: number, address: Buffer, port: number): Buffer {
  return Buffer.concat([Buffer.from([5, 1, 0, type]), address, Buffer.from([port >> 8, port & 255])])
}

describe('connectThroughSocks', () => {
  it('lets the proxy resolve the name, says exactly what RFC 1928 asks, and carries both directions', async () => {
    const channel = await through({ targetPort: await targetPort() })
    expect(await read(channel, GREETING.length)).toBe(GREETING)
    await channel.write(Buffer.from('STARTTLS\r\n'))
    expect(await read(channel, 10)).toBe('STARTTLS\r\n')
    await channel.end()
    const [talk] = proxy?.talks ?? []
    expect(talk?.greeting).toEqual(Buffer.from('050100', 'hex'))
    const name = Buffer.from('\x0ecm.example.org')
    expect(talk?.request).toEqual(requestFor(3, name, 8081))
  })

  it.each([
    ['192.0.2.7', 1, Buffer.from([192, 0, 2, 7])],
    ['[2001:db8::7]', 4, Buffer.from('20010db8000000000000000000000007', 'hex')],
    ['abcdefgh.onion', 3, Buffer.from('\x0eabcdefgh.onion')],
  ])('asks for %s in its own form', async (host, type, address) => {
    const channel = await through({}, { host, port: 9 })
    channel.destroy()
    expect(proxy?.talks[0]?.request).toEqual(requestFor(type, address, 9))
  })

  it.each([
    ['an IPv4 address with CR LF in it', SOCKS_OK],
    ['an IPv6 address', Buffer.from(`05000004${'0d0a'.repeat(8)}1f91`, 'hex')],
    ['a name', Buffer.from(`0500000306${'0d0a'.repeat(3)}1f91`, 'hex')],
  ])('finds the greeting intact behind a reply with %s, in one segment', async (_, reply) => {
    const channel = await through({ reply, targetPort: await targetPort(), isLate: true })
    expect(await read(channel, GREETING.length)).toBe(GREETING)
    await channel.write(Buffer.from('more'))
    expect(await read(channel, 4)).toBe('more')
    await channel.end()
  })

  it('gives the credentials of the stream to a proxy that asks for them', async () => {
    const channel = await through({ method: 2 }, { credentials: CREDENTIALS })
    channel.destroy()
    expect(proxy?.talks[0]?.greeting).toEqual(Buffer.from('05020002', 'hex'))
    expect(proxy?.talks[0]?.credentials).toEqual(CREDENTIALS)
  })

  it('goes without them when the proxy knows "no authentication" only', async () => {
    const channel = await through({ method: 0, targetPort: await targetPort() }, { credentials: CREDENTIALS })
    expect(await read(channel, GREETING.length)).toBe(GREETING)
    expect(proxy?.talks[0]?.credentials).toBeUndefined()
    await channel.end()
  })

  it.each<[string, SocksServerOptions]>([
    ['accepts no method', { method: 255 }],
    ['refuses the credentials', { method: 2, authStatus: 1 }],
    ['speaks HTTP', { method: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }],
    ['speaks SOCKS4', { method: Buffer.from([0, 90]) }],
    ['cannot reach the host', { reply: Buffer.from('05040001000000000000', 'hex') }],
    ['answers with an unknown kind of address', { reply: Buffer.from('05000009000000000000', 'hex') }],
    ['answers with another version', { reply: Buffer.from('04000001000000000000', 'hex') }],
  ])('fails, naming the proxy, when it %s', async (_, server) => {
    const failure = await failureOf(through(server, { credentials: CREDENTIALS }))
    expect(failure).toMatchObject({
      name: 'ConnectError',
      reason: 'proxy-refused',
      proxyHostPort: `127.0.0.1:${proxy?.port}`,
      message: expect.stringContaining(`through the proxy 127.0.0.1:${proxy?.port}`),
    })
  })

  it('fails when the proxy is down, and does not go around it', async () => {
    const port = await targetPort()
    const gone = await startSocksServer({})
    await gone.close()
    const attempt = connectThroughSocks({
      proxy: { host: '127.0.0.1', port: gone.port },
      host: '127.0.0.1',
      port,
      judge: anyAddress,
    })
    await expect(attempt).rejects.toMatchObject({
      reason: 'proxy-down',
      proxyHostPort: `127.0.0.1:${gone.port}`,
    })
    expect(listener?.connectionCount).toBe(0)
  })

  it.each<[string, SocksServerOptions]>([
    ['never answers', { reply: undefined }],
    ['stops in the middle of its reply', { reply: Buffer.from('05000003ff', 'hex') }],
  ])('gives up on a proxy that %s', async (_, server) => {
    const failure = await failureOf(through(server, { timeoutMs: 60 }))
    expect(failure).toMatchObject({
      reason: 'timeout',
      proxyHostPort: `127.0.0.1:${proxy?.port}`,
    })
  })

  it('asks the proxy for no private address because the network named it', async () => {
    const attempt = through({}, { host: '10.0.0.1', judge: publicAddressesExcept([]) })
    await expect(attempt).rejects.toMatchObject({ reason: 'forbidden-address' })
    expect(proxy?.talks).toEqual([])
  })
})

describe('judgeUnresolved', () => {
  const judge = publicAddressesExcept(['box.lan:8081'])
  it.each([
    ['abcdefgh.onion', true],
    ['some.i2p', true],
    ['cm.example.org', true],
    ['8.8.8.8', true],
    ['127.0.0.1', false],
    ['127.1', false],
    ['2130706433', false],
    ['0x7f.0.0.1', false],
    ['::1', false],
    ['fe80::1', false],
    ['localhost', false],
    ['cm.localhost.', false],
    ['printer', false],
    ['printer.local', false],
    ['box.lan', true],
    ['other.lan', false],
    ['999.1.1.1', false],
  ])('%s: %s', (host, isAllowed) => {
    expect(judgeUnresolved(judge, { hostPort: `${host}:8081`, host })).toBe(isAllowed)
  })
})

import { describe, expect, it } from 'vitest'
import { ChannelClosedError, ChannelIdleError, StartTlsError } from '../../../src/net/byte-channel.ts'
import { createCmServerCertificate } from '../../../src/net/certificates.ts'
import { createMemoryChannelPair } from '../../../src/net/memory-channel.ts'
import { createServerTls } from '../../../src/net/server-tls.ts'

async function serverTls() {
  return createServerTls(await createCmServerCertificate({ names: ['x.example'], nowMs: Date.now() }))
}

describe('MemoryChannel', () => {
  it('carries bytes both ways and ends like a socket', async () => {
    const [client, server] = createMemoryChannelPair()
    await client.write(Buffer.from('hello'))
    await client.end()
    const chunks: string[] = []
    for await (const chunk of server) chunks.push(Buffer.from(chunk).toString())
    expect(chunks).toEqual(['hello'])
    await expect(server.write(Buffer.from('x'))).rejects.toBeInstanceOf(ChannelClosedError)
  })

  it('holds a writer back until the reader reads', async () => {
    const [client, server] = createMemoryChannelPair({ bufferBytes: 4 })
    let written = false
    const writing = client.write(Buffer.from('12345')).then(() => {
      written = true
    })
    await Promise.resolve()
    expect(written).toBe(false)
    for await (const _ of server) break
    await writing
  })

  it('starts TLS on both ends and shows the certificate', async () => {
    const [client, server] = createMemoryChannelPair()
    await Promise.all([server.startTls(await serverTls()), client.startTls({ role: 'client' })])
    expect([client.secure, server.secure]).toEqual([true, true])
    expect(client.peerCertificate?.description).toContain('x.example')
  })

  it('closes when plaintext lies behind STARTTLS', async () => {
    const [client, server] = createMemoryChannelPair()
    await client.write(Buffer.from('injected'))
    await expect(server.startTls(await serverTls())).rejects.toBeInstanceOf(StartTlsError)
    await expect(client.write(Buffer.from('x'))).rejects.toBeInstanceOf(ChannelClosedError)
  })

  it('fails a waiting reader when the test lets the idle time pass', async () => {
    const [, server] = createMemoryChannelPair()
    server.setIdleTimeout(1000)
    const reading = server[Symbol.asyncIterator]().next()
    await Promise.resolve()
    server.expireIdle()
    await expect(reading).rejects.toBeInstanceOf(ChannelIdleError)
  })
})

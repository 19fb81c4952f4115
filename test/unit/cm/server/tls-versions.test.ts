import { describe, expect, it, onTestFinished } from 'vitest'
import { createAuthority, createCmServerCertificate, createLeaf } from '../../../../src/net/certificates.ts'
import { createServerTls } from '../../../../src/net/server-tls.ts'
import { endPeopleServerAfterEach, plainClient, startPeopleServer } from '../../../support/cm-people.ts'
import { WireClient } from '../../../support/cm-server-support.ts'

endPeopleServerAfterEach()

const NAMES = { names: ['localhost', '127.0.0.1'], nowMs: Date.now() }

const CERTIFICATES = {
  RSA: () => createCmServerCertificate(NAMES),
  ECDSA: async () => createLeaf({ ...NAMES, authority: await createAuthority({ ...NAMES, label: 'test' }) }),
}

/** Reference clients speak exactly 1.2 (CM wire 7.2). */
describe.each(['RSA', 'ECDSA'] as const)('a server with an %s certificate', (kind) => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('serves a client that speaks %s alone', async (version) => {
    const tls = createServerTls(await CERTIFICATES[kind]())
    const on = await startPeopleServer({ context: (context) => ({ ...context, tls: () => tls }) })
    const client = await plainClient(on)
    expect(await client.ask('STARTTLS')).toBe('PROCEED')
    await client.startTls(version)
    expect(await client.line()).toBe('ENCRYPTED')
    expect(client.tls?.getProtocol()).toBe(version)
    expect(await client.ask('PING')).toBe('PONG')
  })
})

describe('a client that is too old', () => {
  it('gets no connection, and nobody else is hurt', async () => {
    const on = await startPeopleServer()
    const client = await plainClient(on)
    expect(await client.ask('STARTTLS')).toBe('PROCEED')
    await expect(client.startTls('TLSv1.1')).rejects.toThrow()
    const other = await WireClient.connectSecure(on.port)
    onTestFinished(() => other.destroy())
    expect(await other.ask('PING')).toBe('PONG')
    expect(on.errors).toEqual([])
  })
})

import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../../src/base/clock.ts'
import { anyAddress } from '../../../src/net/address-guard.ts'
import type { ServerTlsContext } from '../../../src/net/byte-channel.ts'
import { createAuthority, createLeaf, parseCertificateName } from '../../../src/net/certificates.ts'
import { connect } from '../../../src/net/connect.ts'
import { loadCmServerCertificate, loadInstallCertificates } from '../../../src/net/install-certificates.ts'
import { listen } from '../../../src/net/listen.ts'
import { decodeNameConstraints, encodeNameConstraints } from '../../../src/net/name-constraints.ts'
import { peerCertificate } from '../../../src/net/peer-certificate.ts'
import { createServerTls } from '../../../src/net/server-tls.ts'

const NOW = Date.now()
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmb-cert-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

/** What a TLS client that trusts only `authorityPem` says about the leaf, asked for `name`. */
async function verify(
  leaf: { certificatePem: string; privateKeyPem: string },
  authorityPem: string,
  name: string,
): Promise<string> {
  const tls = createServerTls(leaf)
  const listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 5,
    tls: () => tls,
    onConnection: (channel) => channel.end(),
    onError: () => undefined,
  })
  try {
    const { port } = listener.addresses[0]!
    return await new Promise<string>((resolve) => {
      const socket = connectTls({
        host: '127.0.0.1',
        port,
        ca: authorityPem,
        servername: name.includes(':') ? '' : name,
      })
      socket.once('secureConnect', () => resolve('ok'))
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.message))
      socket.resume()
    })
  } finally {
    await listener.closeAll()
  }
}

describe('the authority of an installation', () => {
  const names = ['localhost', '127.0.0.1', '::1', 'box.lan']

  it('vouches for the names it was made for', async () => {
    const authority = await createAuthority({ names, label: 'box', nowMs: NOW })
    const leaf = await createLeaf({ authority, names, nowMs: NOW })
    expect(await verify(leaf, authority.certificatePem, 'localhost')).toBe('ok')
    expect(await verify(leaf, authority.certificatePem, 'box.lan')).toBe('ok')
  })

  it.each(['bank.example', '192.0.2.1'])('cannot vouch for %s', async (foreign) => {
    const authority = await createAuthority({ names, label: 'box', nowMs: NOW })
    const leaf = await createLeaf({ authority, names: ['localhost', foreign], nowMs: NOW })
    expect(await verify(leaf, authority.certificatePem, 'localhost')).toBe('permitted subtree violation')
  })

  it('is refused without a name of each kind, since one kind does not bind the other', () => {
    expect(() => encodeNameConstraints(['localhost'])).toThrow('at least one DNS name and one IP address')
    expect(() => encodeNameConstraints(['127.0.0.1'])).toThrow('at least one DNS name and one IP address')
  })

  it('names survive encoding and decoding', () => {
    const many = [
      '127.0.0.1',
      '::1',
      '2001:db8::5',
      ...Array.from({ length: 40 }, (_, i) => `host${i}.example`),
    ]
    expect(new Set(decodeNameConstraints(encodeNameConstraints(many)))).toEqual(new Set(many))
  })
})

describe('loadInstallCertificates', () => {
  const options = { hostName: 'Box', extraNames: [], nowMs: NOW }

  it('makes them once and loads them afterwards', async () => {
    const first = await loadInstallCertificates(directory, options)
    const second = await loadInstallCertificates(directory, options)
    expect([first.change, second.change]).toEqual(['created', 'none'])
    expect(second.leaf).toEqual(first.leaf)
    expect((await stat(join(directory, 'ca.key'))).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory, 'server.key'))).mode & 0o777).toBe(0o600)
    expect(await readFile(first.authorityFile, 'utf8')).toBe(first.authorityPem)
    expect(await verify(second.leaf, second.authorityPem, 'box')).toBe('ok')
  })

  it('renews the leaf under the same authority and key', async () => {
    const first = await loadInstallCertificates(directory, options)
    const later = await loadInstallCertificates(directory, { ...options, nowMs: NOW + 350 * duration.day })
    expect(later.change).toBe('leaf-renewed')
    expect(later.authorityPem).toBe(first.authorityPem)
    expect(later.leaf.privateKeyPem).toBe(first.leaf.privateKeyPem)
    expect(later.leaf.certificatePem).not.toBe(first.leaf.certificatePem)
  })

  it('keeps the authority when only the host name changed', async () => {
    const first = await loadInstallCertificates(directory, options)
    const moved = await loadInstallCertificates(directory, { ...options, hostName: 'cafe-wifi-17' })
    expect([moved.change, moved.authorityPem]).toEqual(['none', first.authorityPem])
  })

  it('replaces the authority for a new configured name and says so', async () => {
    await loadInstallCertificates(directory, options)
    const extra = { ...options, extraNames: ['mail.home.example', '192.168.1.5'] }
    const wider = await loadInstallCertificates(directory, extra)
    expect(wider.change).toBe('authority-replaced')
    expect(await verify(wider.leaf, wider.authorityPem, 'mail.home.example')).toBe('ok')
    expect((await loadInstallCertificates(directory, extra)).change).toBe('none')
  })

  it('finishes a first start that was cut off, but never replaces a lost key silently', async () => {
    await writeFile(join(directory, 'ca.key'), 'half')
    expect((await loadInstallCertificates(directory, options)).change).toBe('created')
    await rm(join(directory, 'ca.key'))
    await expect(loadInstallCertificates(directory, options)).rejects.toThrow('ca.key is missing')
  })

  it('refuses a configured name that no certificate can carry', async () => {
    await expect(
      loadInstallCertificates(directory, { ...options, extraNames: ['https://x'] }),
    ).rejects.toThrow('https://x')
    expect(parseCertificateName('BOX.Lan.')).toBe('box.lan')
    expect(parseCertificateName('0:0:0:0:0:0:0:1')).toBe('::1')
  })
})

describe('the CM server certificate', () => {
  it('is self-signed RSA-2048 and stays the same', async () => {
    const first = await loadCmServerCertificate(directory, { names: ['cm.example.org'], nowMs: NOW })
    const second = await loadCmServerCertificate(directory, { names: ['other.example'], nowMs: NOW })
    expect(second).toEqual(first)
    const certificate = new X509Certificate(first.certificatePem)
    expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048)
    expect(certificate.verify(certificate.publicKey)).toBe(true)
  })

  it('is described in plain lines with its digest', async () => {
    const { certificatePem } = await loadCmServerCertificate(directory, {
      names: ['cm.example.org'],
      nowMs: NOW,
    })
    const certificate = peerCertificate(new X509Certificate(certificatePem), false)
    expect(certificate.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(certificate.description).toMatch(/^Subject: CN=cm\.example\.org\nIssuer: .*\nValid: .* to .*\n/)
    expect(certificate.description).toContain('Key: rsa 2048 bits')
  })
})

describe('a certificate that names several hosts', () => {
  it('is trusted for each of them under its authority, whatever host was asked for, and for no other', async () => {
    const names = ['cmsvr.example.net', 'cm.hoster.example', '127.0.0.1']
    const authority = await createAuthority({ names, label: 'test', nowMs: NOW })
    const tls = createServerTls(await createLeaf({ authority, names, nowMs: NOW }))
    const show = (authorityPem: string | undefined) => shownBy(tls, authorityPem)
    const shown = await show(authority.certificatePem)
    expect(shown?.publiclyTrusted).toBe(true)
    expect(shown?.isTrustedFor('cmsvr.example.net')).toBe(true)
    expect(shown?.isTrustedFor('cmsvr.example.com')).toBe(false)
    const stranger = await show(undefined)
    expect(stranger?.isTrustedFor('cmsvr.example.net')).toBe(false)
  })

  it('is trusted for its hosts although the host asked for is not among them', async () => {
    const names = ['cmsvr.example.net', '192.0.2.1']
    const authority = await createAuthority({ names, label: 'test', nowMs: NOW })
    const tls = createServerTls(await createLeaf({ authority, names, nowMs: NOW }))
    const shown = await shownBy(tls, authority.certificatePem)
    expect(shown?.publiclyTrusted).toBe(false)
    expect(shown?.isTrustedFor('cmsvr.example.net')).toBe(true)
  })
})

/** What a client that asks for 127.0.0.1 sees of a server. */
async function shownBy(tls: ServerTlsContext, authorityPem: string | undefined) {
  const listener = await listen({
    addresses: [{ host: '127.0.0.1', port: 0 }],
    maxConnections: 5,
    onConnection: async (channel) => {
      await channel.startTls(tls)
      await channel.end()
    },
    onError: () => undefined,
  })
  try {
    const channel = await connect({
      host: '127.0.0.1',
      port: listener.addresses[0]!.port,
      judge: anyAddress,
    })
    await channel.startTls({
      role: 'client',
      host: '127.0.0.1',
      ...(authorityPem === undefined ? {} : { authorities: [authorityPem] }),
    })
    channel.destroy()
    return channel.peerCertificate
  } finally {
    await listener.closeAll()
  }
}

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseClearSigned } from '../../src/cm/clear-signed.ts'
import { decryptBytes, encryptBytes, verifyDetachedFile } from '../../src/cm/message/crypto-files.ts'
import { parseCertificate } from '../../src/cm/openpgp/certificates.ts'
import { verifyClearSigned } from '../../src/cm/openpgp/clear-signatures.ts'

/** Every kind of key the reference's dialog offers (CM message 10.4), made and used by GnuPG on the other side. */

const hasGpg = spawnSync('gpg', ['--version']).status === 0
if (!hasGpg) console.log('skipped: gpg is not installed')

const ecc = (curve: string): string =>
  `Key-Type: ECDSA\nKey-Curve: ${curve}\nKey-Usage: sign\nSubkey-Type: ECDH\nSubkey-Curve: ${curve}\nSubkey-Usage: encrypt`
const rsa = (bits: number): string =>
  `Key-Type: RSA\nKey-Length: ${bits}\nKey-Usage: sign,encrypt,auth\nSubkey-Type: RSA\nSubkey-Length: ${bits}`
const KINDS: readonly (readonly [name: string, parameters: string, warnings: readonly string[]])[] = [
  ['RSA 1024', rsa(1024), ['short-key']],
  ['RSA 3072', rsa(3072), []],
  ['RSA without a subkey', 'Key-Type: RSA\nKey-Length: 2048\nKey-Usage: sign,encrypt,auth', []],
  // With 1,024 bits GnuPG signs with SHA-1, which is not taken (docs/decisions/0009).
  ['DSA 2048 and ElGamal', 'Key-Type: DSA\nKey-Length: 2048\nSubkey-Type: ELG-E\nSubkey-Length: 1024', []],
  ['NIST P-256', ecc('NIST P-256'), []],
  ['NIST P-384', ecc('NIST P-384'), []],
  ['NIST P-521', ecc('NIST P-521'), []],
  ['Brainpool P-256', ecc('brainpoolP256r1'), []],
  ['Brainpool P-384', ecc('brainpoolP384r1'), []],
  ['Brainpool P-512', ecc('brainpoolP512r1'), []],
  ['secp256k1', ecc('secp256k1'), []],
  [
    'Curve25519',
    'Key-Type: EDDSA\nKey-Curve: Ed25519\nKey-Usage: sign\nSubkey-Type: ECDH\nSubkey-Curve: Curve25519',
    [],
  ],
]
const TEXT = 'Type: address-claim\nAddress: kind@example.org\n'

describe.skipIf(!hasGpg).each(KINDS)('a key of GnuPG, %s', (_name, parameters, warnings) => {
  // The agent's socket lies in here: a path of more than 107 bytes would not do.
  const home = mkdtempSync(join(tmpdir(), 'gpg-'))
  let armored: string

  function gpg(args: readonly string[], input: string | Uint8Array = ''): Buffer {
    const common = ['--homedir', home, '--batch', '--no-tty', '--trust-model', 'always']
    const digests = ['--personal-digest-preferences', 'SHA512,SHA384,SHA256']
    return execFileSync('gpg', [...common, ...digests, ...args], { input, stdio: ['pipe', 'pipe', 'ignore'] })
  }

  beforeAll(() => {
    const script = `%no-protection\n${parameters}\nName-Real: Kind\nName-Email: kind@example.org\nExpire-Date: 0\n%commit\n`
    gpg(['--gen-key'], script)
    armored = gpg(['--armor', '--export']).toString()
  })

  afterAll(() => {
    spawnSync('gpgconf', ['--homedir', home, '--kill', 'all'])
    rmSync(home, { recursive: true, force: true })
  })

  async function certificate() {
    const read = await parseCertificate(armored, Date.now())
    if (read.kind === 'refused') throw new Error(read.reason)
    return read.certificate
  }

  it('is read as usable', async () => {
    expect(await certificate()).toMatchObject({
      canEncrypt: { kind: 'yes' },
      canSign: { kind: 'yes' },
      warnings,
    })
  })

  it('signs announcements and claims that we verify', async () => {
    const parsed = parseClearSigned(gpg(['--clearsign'], TEXT).toString().trimEnd().split('\n'))
    if (parsed.kind !== 'signed') throw new Error(parsed.kind)
    const { keyId } = await certificate()
    expect(await verifyClearSigned(parsed.signed, [await certificate()], Date.now())).toMatchObject({
      kind: 'good',
      keyId,
    })
    const forged = { ...parsed.signed, lines: ['Type: address-claim', 'Address: other@example.org'] }
    expect(await verifyClearSigned(forged, [await certificate()], Date.now())).toMatchObject({ kind: 'bad' })
  })

  it('signs messages that we verify', async () => {
    const path = join(home, 'message')
    writeFileSync(path, TEXT)
    const signature = gpg(['--detach-sign', '--output', '-', path])
    const verdict = await verifyDetachedFile({
      path,
      start: 0,
      signature,
      certificates: [armored],
      nowMs: Date.now(),
    })
    expect(verdict).toMatchObject({ kind: 'good', signer: (await certificate()).keyId })
  })

  it('decrypts what we encrypt to it, and the other way round', async () => {
    const plan = { certificates: [armored], sessionKey: randomBytes(32), date: new Date() }
    const ours = await encryptBytes(Buffer.from(TEXT), plan)
    expect(gpg(['--decrypt'], ours).toString()).toBe(TEXT)
    const theirs = gpg(['--encrypt', '--recipient', 'kind@example.org'], TEXT)
    const secretKey = gpg(['--armor', '--export-secret-keys']).toString()
    const opened = await decryptBytes(theirs, { secretKeys: [secretKey], maxBytes: 1000 })
    expect(Buffer.from(opened ?? []).toString()).toBe(TEXT)
  })
})

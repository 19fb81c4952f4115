import { readFileSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { describe, expect, it } from 'vitest'
import { blockLines } from '../../../../src/cm/block-text.ts'
import type { Certificate } from '../../../../src/cm/certificate.ts'
import { parseClearSigned } from '../../../../src/cm/clear-signed.ts'
import { parseCertificate } from '../../../../src/cm/openpgp/certificates.ts'
import { clearsign, verifyClearSigned } from '../../../../src/cm/openpgp/clear-signatures.ts'
import { signDetached, verifyDetached } from '../../../../src/cm/openpgp/detached-signatures.ts'
import { decryptUnauthenticatedStream, encryptStream } from '../../../../src/cm/openpgp/encryption.ts'
import { generateKey, readSecretKey } from '../../../../src/cm/openpgp/secret-keys.ts'
import { SIGNATURE_CLOCK_TOLERANCE_MS } from '../../../../src/cm/openpgp/settings.ts'
import type { SecretKey } from '../../../../src/cm/secret-key.ts'

/** Keys and signatures of the hard cases, and more of their kind. */

const CASES = new URL('../../../golden/cases/', import.meta.url)
const NOW_MS = Date.parse('2026-12-31T10:00:00Z')
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const bytesOf = (name: string): Buffer => readFileSync(new URL(name, CASES))
const textOf = (name: string): string => readFileSync(new URL(name, CASES), 'utf8')

function streamOf(content: string | Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { body } = new Response(Buffer.from(content))
  if (body === null) throw new Error('no stream')
  return body
}

async function certificateOf(armored: string, nowMs = NOW_MS): Promise<Certificate> {
  const read = await parseCertificate(armored, nowMs)
  if (read.kind !== 'ok') throw new Error(read.reason)
  return read.certificate
}

async function secretKeyOf(armored: string): Promise<SecretKey> {
  const read = await readSecretKey(armored, { nowMs: NOW_MS })
  if (read.kind !== 'ok') throw new Error(read.kind)
  return read.secretKey
}

async function encryptTo(certificate: string, nowMs: number): Promise<Uint8Array> {
  const plan = { certificates: [certificate], sessionKey: Buffer.alloc(32, 7), date: new Date(nowMs) }
  const ciphertext = await encryptStream(streamOf('hello'), plan)
  return new Uint8Array(await new Response(ciphertext).arrayBuffer())
}

async function recipientsOf(message: Uint8Array): Promise<string[]> {
  const read = await openpgp.readMessage({ binaryMessage: message })
  return read.getEncryptionKeyIDs().map((id) => id.toHex())
}

async function opens(message: Uint8Array, secretKey: SecretKey): Promise<string> {
  const opened = await decryptUnauthenticatedStream(streamOf(message), [secretKey.armored.reveal()], 1000)
  return opened.kind === 'decrypting' ? await new Response(opened.content).text() : opened.reason
}

/** A key with encryption subkeys made on these days after its start; what becomes of each is said by `end`. */
async function keyWithSubkeys(
  subkeys: readonly { readonly day: number; readonly end?: 'expired' | 'revoked' }[],
  startMs: number,
): Promise<openpgp.PrivateKey> {
  const made = await openpgp.generateKey({
    type: 'ecc',
    curve: 'curve25519Legacy',
    userIDs: [{ email: 'many@example.org' }],
    subkeys: [],
    date: new Date(startMs),
    format: 'object',
  })
  let key = made.privateKey
  for (const { day, end } of subkeys) {
    const date = new Date(startMs + day * DAY_MS)
    const keyExpirationTime = end === 'expired' ? 3600 : 0
    key = await key.addSubkey({ type: 'ecc', curve: 'curve25519Legacy', date, keyExpirationTime })
    const newest = key.subkeys.at(-1)
    if (end !== 'revoked' || newest === undefined || !(key.keyPacket instanceof openpgp.SecretKeyPacket))
      continue
    const revoked = await newest.revoke(key.keyPacket, undefined, new Date(date.getTime() + 1000))
    newest.revocationSignatures.push(...revoked.revocationSignatures.slice(0, 1))
  }
  return key
}

describe('K04: several encryption subkeys', () => {
  it('encrypts to exactly one, the one made on 2025-04-01', async () => {
    const message = await encryptTo((await certificateOf(textOf('K04.asc'))).armored, NOW_MS)
    const key = await openpgp.readKey({ armoredKey: textOf('K04.asc') })
    const wanted = key.subkeys.find((subkey) =>
      subkey.getCreationTime().toISOString().startsWith('2025-04-01'),
    )
    expect(wanted).toBeDefined()
    expect(await recipientsOf(message)).toEqual([wanted?.getKeyID().toHex()])
  })

  it('decrypts what was encrypted to any of the four, the revoked and the expired one too', async () => {
    const secretKey = await secretKeyOf(textOf('K04-secret.asc'))
    const opened: string[] = []
    for (const index of [0, 1, 2, 3]) {
      const key = await openpgp.readKey({ armoredKey: textOf('K04.asc') })
      const subkey = key.subkeys[index]
      if (subkey === undefined) throw new Error('no such subkey')
      subkey.revocationSignatures = []
      key.subkeys = [subkey]
      const message = await encryptTo(key.armor(), subkey.getCreationTime().getTime() + 1000)
      expect(await recipientsOf(message)).toEqual([subkey.getKeyID().toHex()])
      opened.push(await opens(message, secretKey))
    }
    expect(opened).toEqual(['hello', 'hello', 'hello', 'hello'])
  })

  const START_MS = Date.parse('2026-01-01T00:00:00Z')
  it.each([
    ['the newest is revoked', [{ day: 1 }, { day: 2 }, { day: 3, end: 'revoked' }], 1],
    ['the newest is expired', [{ day: 1 }, { day: 2 }, { day: 3, end: 'expired' }], 1],
    ['the newest stands first', [{ day: 3 }, { day: 1 }, { day: 2 }], 0],
    ['the newest is not made yet', [{ day: 1 }, { day: 2 }, { day: 900 }], 1],
    ['all but the first have ended', [{ day: 1 }, { day: 2, end: 'expired' }, { day: 3, end: 'revoked' }], 0],
  ] as const)('encrypts to the newest that is good when %s', async (_name, subkeys, wanted) => {
    const key = await keyWithSubkeys(subkeys, START_MS)
    const message = await encryptTo((await certificateOf(key.toPublic().armor())).armored, NOW_MS)
    expect(await recipientsOf(message)).toEqual([key.subkeys[wanted]?.getKeyID().toHex()])
  })

  it('cannot be encrypted to when all have ended', async () => {
    const key = await keyWithSubkeys(
      [
        { day: 1, end: 'expired' },
        { day: 2, end: 'revoked' },
      ],
      START_MS,
    )
    expect(await certificateOf(key.toPublic().armor())).toMatchObject({
      canEncrypt: { kind: 'no' },
      canSign: { kind: 'yes' },
    })
  })
})

describe('K07: SHA-1', () => {
  it('in every self-signature leaves a key usable, with a warning', async () => {
    const certificate = await certificateOf(textOf('K07.asc'))
    expect(certificate).toMatchObject({
      canEncrypt: { kind: 'yes' },
      canSign: { kind: 'yes' },
      warnings: ['sha-1'],
    })
    const message = await encryptTo(certificate.armored, NOW_MS)
    expect(await opens(message, await secretKeyOf(textOf('K07-secret.asc')))).toBe('hello')
  })

  it('in no self-signature gives none', async () => {
    expect((await certificateOf(textOf('K04.asc'))).warnings).toEqual([])
  })

  async function signedWith(hash: openpgp.enums.hash, type: 'binary' | 'text'): Promise<openpgp.Signature> {
    const signed: unknown = await openpgp.sign({
      message:
        type === 'text'
          ? await openpgp.createMessage({ text: 'Type: test' })
          : await openpgp.createMessage({ binary: Buffer.from('content') }),
      signingKeys: await openpgp.readPrivateKey({ armoredKey: textOf('K07-secret.asc') }),
      detached: true,
      format: 'object',
      date: new Date(NOW_MS - MINUTE_MS),
      config: {
        preferredHashAlgorithm: hash,
        rejectMessageHashAlgorithms: new Set(),
        nonDeterministicSignaturesViaNotation: false,
      },
    })
    if (!(signed instanceof openpgp.Signature)) throw new Error('no signature')
    expect(signed.packets[0]?.hashAlgorithm).toBe(hash)
    return signed
  }

  it.each([
    ['sha1', 'bad'],
    ['sha256', 'good'],
  ] as const)('over a message: %s is %s', async (hash, kind) => {
    const { armored } = await certificateOf(textOf('K07.asc'))
    const signature = await signedWith(openpgp.enums.hash[hash], 'binary')
    const context = { certificates: [armored], nowMs: NOW_MS }
    const verdict = await verifyDetached(() => streamOf('content'), signature.write() as Uint8Array, context)
    expect(verdict.kind).toBe(kind)
  })

  it.each([
    ['sha1', 'bad'],
    ['sha256', 'good'],
  ] as const)('over an announcement: %s is %s', async (hash, kind) => {
    const certificate = await certificateOf(textOf('K07.asc'))
    const signature = (await signedWith(openpgp.enums.hash[hash], 'text')).armor()
    const frame = [
      '-----BEGIN PGP SIGNED MESSAGE-----',
      `Hash: ${hash.toUpperCase()}`,
      '',
      'Type: test',
      signature,
    ]
    const parsed = parseClearSigned(blockLines(`${frame.join('\n').replaceAll('\r', '')}`))
    if (parsed.kind !== 'signed') throw new Error(parsed.kind)
    expect((await verifyClearSigned(parsed.signed, [certificate], NOW_MS)).kind).toBe(kind)
  })
})

describe('K10: clocks that are ahead', () => {
  const KEY_MS = Date.parse('2030-01-01T00:00:00Z')
  const SIGNED_MS = Date.parse('2030-01-01T00:01:00Z')

  /** The verdict over K10.txt as of a time of ours; the key is given to us whether we may use it yet or not. */
  const verdictAt = async (nowMs: number, content: Uint8Array = bytesOf('K10.txt')) => {
    const { data } = await openpgp.unarmor(textOf('K10.sig'))
    const context = { certificates: [textOf('K10.asc')], nowMs }
    return verifyDetached(() => streamOf(content), data as Uint8Array, context)
  }

  it('the tolerance is a quarter of an hour', () => {
    expect(SIGNATURE_CLOCK_TOLERANCE_MS).toBe(15 * MINUTE_MS)
  })

  it.each([
    ['at 00:05', 'good', Date.parse('2030-01-01T00:05:00Z')],
    ['in its own second', 'good', SIGNED_MS],
    ['as soon as its key exists', 'good', KEY_MS],
    ['today', 'future', NOW_MS],
    ['a second before its key exists', 'future', KEY_MS - 1000],
    ['years later', 'good', Date.parse('2034-01-01T00:00:00Z')],
  ] as const)('the signature of 2030 %s is %s', async (_name, kind, nowMs) => {
    expect((await verdictAt(nowMs)).kind).toBe(kind)
  })

  it('says when a signature that is ahead is to be looked at again, and it is good then', async () => {
    const verdict = await verdictAt(NOW_MS)
    if (verdict.kind !== 'future') throw new Error(verdict.kind)
    expect((await verdictAt(verdict.notBeforeMs)).kind).toBe('good')
  })

  it('a wrong signature is bad however far it is ahead', async () => {
    const verdict = await verdictAt(NOW_MS, Buffer.from('something else'))
    expect(verdict.kind).toBe('bad')
  })

  it('the key itself is taken once its time has come, or nearly', async () => {
    const at = async (nowMs: number) => (await parseCertificate(textOf('K10.asc'), nowMs)).kind
    expect(await at(KEY_MS + 5 * MINUTE_MS)).toBe('ok')
    expect(await at(KEY_MS - SIGNATURE_CLOCK_TOLERANCE_MS)).toBe('ok')
    expect(await parseCertificate(textOf('K10.asc'), NOW_MS)).toEqual({
      kind: 'refused',
      reason: 'not-yet-valid',
    })
  })

  it.each([
    [1000, 'good'],
    [3 * MINUTE_MS, 'good'],
    [15 * MINUTE_MS, 'good'],
    [15 * MINUTE_MS + 1000, 'future'],
    [30 * DAY_MS, 'future'],
  ])('a signature %i ms ahead of our clock is %s', async (aheadMs, kind) => {
    const secretKey = await generateKey({ name: 'A', address: 'a@example.org', nowMs: NOW_MS - DAY_MS })
    const signedAt = new Date(NOW_MS + aheadMs)
    const signature = await signDetached(streamOf('content'), secretKey.armored.reveal(), signedAt)
    const context = { certificates: [secretKey.certificate.armored], nowMs: NOW_MS }
    const verdict = await verifyDetached(() => streamOf('content'), signature, context)
    expect(verdict.kind).toBe(kind)
  })

  it('our own signatures are never later than the time they are made at', async () => {
    const nowMs = NOW_MS + 999
    const secretKey = await generateKey({ name: 'A', address: 'a@example.org', nowMs: NOW_MS - DAY_MS })
    const detached = await signDetached(streamOf('content'), secretKey.armored.reveal(), new Date(nowMs))
    const parsed = await openpgp.readSignature({ binarySignature: detached })
    expect(Number(parsed.packets[0]?.created)).toBe(NOW_MS)
    const clearSigned = parseClearSigned(blockLines(await clearsign('Type: test\n', secretKey, nowMs)))
    if (clearSigned.kind !== 'signed') throw new Error(clearSigned.kind)
    const verdict = await verifyClearSigned(clearSigned.signed, [secretKey.certificate], nowMs)
    expect(verdict).toMatchObject({ kind: 'good', createdMs: NOW_MS })
  })
})

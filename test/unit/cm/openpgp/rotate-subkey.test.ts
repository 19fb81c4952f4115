import { readFileSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { beforeAll, describe, expect, it } from 'vitest'
import { announcedCertificate } from '../../../../src/cm/openpgp/announced-certificate.ts'
import { parseCertificate } from '../../../../src/cm/openpgp/certificates.ts'
import { decryptUnauthenticatedStream, encryptStream } from '../../../../src/cm/openpgp/encryption.ts'
import { rotateEncryptionSubkey } from '../../../../src/cm/openpgp/rotate-subkey.ts'
import { generateKey, readSecretKey } from '../../../../src/cm/openpgp/secret-keys.ts'
import type { SecretKey } from '../../../../src/cm/secret-key.ts'

/** Rotation of the encryption subkey (CM message 10.5): what we keep, what others are told, what still opens. */

const CASES = new URL('../../../golden/cases/', import.meta.url)
const DAY_MS = 86_400_000
const START_MS = Date.parse('2026-03-01T10:00:00Z')
/** Later than every key of the cases was made. */
const CASES_MS = Date.parse('2026-12-31T10:00:00Z')

async function rotated(secretKey: SecretKey, nowMs: number): Promise<SecretKey> {
  const result = await rotateEncryptionSubkey(secretKey, nowMs)
  if (result.kind !== 'ok') throw new Error(result.kind)
  return result.secretKey
}

async function secretKeyOf(armored: string): Promise<SecretKey> {
  const read = await readSecretKey(armored, { nowMs: START_MS })
  if (read.kind !== 'ok') throw new Error(read.kind)
  return read.secretKey
}

const announced = (secretKey: SecretKey) => announcedCertificate(secretKey.certificate.armored)

/** What a sender who has this certificate makes. */
async function encryptTo(certificate: string, nowMs: number): Promise<Uint8Array> {
  const content = new Response('hello').body ?? undefined
  if (content === undefined) throw new Error('no stream')
  const sessionKey = Buffer.alloc(32, 7)
  const plan = { certificates: [certificate], sessionKey, date: new Date(nowMs) }
  return new Uint8Array(await new Response(await encryptStream(content, plan)).arrayBuffer())
}

async function opens(message: Uint8Array, secretKey: SecretKey): Promise<string> {
  const body = new Response(Buffer.from(message)).body
  if (body === null) throw new Error('no stream')
  const opened = await decryptUnauthenticatedStream(body, [secretKey.armored.reveal()], 1000)
  return opened.kind === 'decrypting' ? await new Response(opened.content).text() : opened.reason
}

/** The subkeys a message is encrypted to, as 16 hex digits. */
async function recipientsOf(message: Uint8Array): Promise<string[]> {
  const read = await openpgp.readMessage({ binaryMessage: message })
  return read.getEncryptionKeyIDs().map((id) => id.toHex())
}

async function subkeysOf(certificate: string, nowMs: number) {
  const key = await openpgp.readKey({ armoredKey: certificate })
  return await Promise.all(
    key.subkeys.map(async (subkey) => ({
      id: subkey.getKeyID().toHex(),
      algorithm: subkey.getAlgorithmInfo(),
      isUsable: await subkey.verify(new Date(nowMs)).then(
        () => true,
        () => false,
      ),
      expires: await subkey.getExpirationTime(new Date(nowMs)),
      reasons: subkey.revocationSignatures.map((signature) => signature.reasonForRevocationFlag),
    })),
  )
}

describe('three rotations of a new key', () => {
  const generations: SecretKey[] = []
  const at = (generation: number): number => START_MS + generation * 30 * DAY_MS
  const generation = (index: number): SecretKey => {
    const found = generations[index]
    if (found === undefined) throw new Error('no such generation')
    return found
  }
  beforeAll(async () => {
    generations.push(await generateKey({ name: 'Alice', address: 'alice@example.org', nowMs: START_MS }))
    for (const index of [1, 2, 3]) generations.push(await rotated(generation(index - 1), at(index)))
  })

  it('announce the new subkey and the one before it, revoked as superseded', async () => {
    for (const index of [1, 2, 3]) {
      const subkeys = await subkeysOf(await announced(generation(index)), at(index))
      expect(subkeys).toMatchObject([
        { isUsable: false, reasons: [openpgp.enums.reasonForRevocation.keySuperseded] },
        { isUsable: true, reasons: [], expires: Number.POSITIVE_INFINITY },
      ])
    }
  })

  it('leave the old announcement what it was and the key id the same', async () => {
    expect(await subkeysOf(await announced(generation(0)), at(0))).toMatchObject([{ isUsable: true }])
    expect(new Set(generations.map((one) => one.certificate.keyId)).size).toBe(1)
  })

  it('open mail to the new, the old, the one before it and the first, all with the newest secret key', async () => {
    const seen = new Set<string>()
    for (const index of [0, 1, 2, 3]) {
      const message = await encryptTo(await announced(generation(index)), at(index))
      const recipients = await recipientsOf(message)
      expect(recipients).toHaveLength(1)
      seen.add(recipients.join())
      expect(await opens(message, generation(3))).toBe('hello')
    }
    expect(seen.size).toBe(4)
  })

  it('keep every secret subkey', async () => {
    const key = await openpgp.readPrivateKey({ armoredKey: generation(3).armored.reveal() })
    expect(key.subkeys.map((subkey) => subkey.isDecrypted())).toEqual([true, true, true, true])
  })
})

describe('the new subkey is of the primary key’s kind', () => {
  it.each([
    ['rsa', { type: 'rsa', rsaBits: 2048 }, { algorithm: 'rsaEncryptSign', bits: 2048 }],
    ['NIST P-256', { type: 'ecc', curve: 'nistP256' }, { algorithm: 'ecdh', curve: 'nistP256' }],
    ['NIST P-384', { type: 'ecc', curve: 'nistP384' }, { algorithm: 'ecdh', curve: 'nistP384' }],
    ['Ed25519', { type: 'ecc', curve: 'curve25519Legacy' }, { algorithm: 'ecdh', curve: 'curve25519Legacy' }],
    ['new Ed25519', { type: 'curve25519' }, { algorithm: 'ecdh', curve: 'curve25519Legacy' }],
  ] as const)('%s', async (_name, options, algorithm) => {
    const { privateKey } = await openpgp.generateKey({
      ...options,
      userIDs: [{ name: 'A', email: 'a@example.org' }],
      date: new Date(START_MS),
      format: 'armored',
      config: { v6Keys: false },
    })
    const after = await rotated(await secretKeyOf(privateKey), START_MS + DAY_MS)
    const subkeys = await subkeysOf(await announced(after), START_MS + DAY_MS)
    expect(subkeys.at(-1)).toMatchObject({ algorithm, isUsable: true })
    const key = await openpgp.readKey({ armoredKey: await announced(after) })
    const flags = key.subkeys.at(-1)?.bindingSignatures[0]?.keyFlags?.[0] ?? 0
    const { encryptCommunication, encryptStorage } = openpgp.enums.keyFlags
    expect(flags).toBe(encryptCommunication | encryptStorage)
  })

  it('leaves a key without subkeys its own use, and adds the first one', async () => {
    const { privateKey } = await openpgp.generateKey({
      type: 'rsa',
      rsaBits: 2048,
      userIDs: [{ email: 'easy@example.org' }],
      subkeys: [],
      date: new Date(START_MS),
      format: 'armored',
    })
    const after = await rotated(await secretKeyOf(privateKey), START_MS + DAY_MS)
    expect(await subkeysOf(await announced(after), START_MS + DAY_MS)).toMatchObject([{ isUsable: true }])
  })
})

describe('K04', () => {
  const armored = readFileSync(new URL('K04-secret.asc', CASES), 'utf8')

  it('revokes the old, the expired and the newest, and announces no longer the one that was revoked before', async () => {
    const nowMs = Date.parse('2027-01-01T00:00:00Z')
    const before = await secretKeyOf(armored)
    const after = await rotated(before, nowMs)
    const kept = await openpgp.readPrivateKey({ armoredKey: after.armored.reveal() })
    expect(kept.subkeys).toHaveLength(5)
    const told = await subkeysOf(await announced(after), nowMs)
    const revokedBefore = (await subkeysOf(before.certificate.armored, nowMs)).find(
      ({ reasons }) => reasons.length > 0,
    )
    expect(told.map(({ isUsable }) => isUsable)).toEqual([false, false, false, true])
    expect(told.map(({ id }) => id)).not.toContain(revokedBefore?.id)
  })
})

describe('what cannot be rotated', () => {
  it('says so of a key that has ended', async () => {
    const secretKey = await generateKey({ name: 'A', address: 'a@example.org', nowMs: START_MS })
    const { privateKey } = await openpgp.reformatKey({
      privateKey: await openpgp.readPrivateKey({ armoredKey: secretKey.armored.reveal() }),
      userIDs: [{ email: 'a@example.org' }],
      keyExpirationTime: 3600,
      date: new Date(START_MS),
      format: 'armored',
    })
    const read = await readSecretKey(privateKey, { nowMs: START_MS + DAY_MS })
    if (read.kind !== 'ok') throw new Error(read.kind)
    expect(await rotateEncryptionSubkey(read.secretKey, START_MS + DAY_MS)).toEqual({
      kind: 'unusable',
      reason: 'expired',
    })
  })

  it('says so of a key whose primary secret is elsewhere', async () => {
    const read = await readSecretKey(readFileSync(new URL('K16-kept-subkey.asc', CASES), 'utf8'), {
      nowMs: CASES_MS,
    })
    if (read.kind !== 'ok') throw new Error(read.kind)
    expect((await rotateEncryptionSubkey(read.secretKey, CASES_MS)).kind).toBe('no-primary')
  })
})

describe('the announced certificate', () => {
  it('carries no photo id', async () => {
    const read = await parseCertificate(readFileSync(new URL('K14.asc', CASES), 'utf8'), CASES_MS)
    if (read.kind !== 'ok') throw new Error(read.kind)
    const key = await openpgp.readKey({ armoredKey: await announcedCertificate(read.certificate.armored) })
    expect(key.users.map(({ userID }) => userID?.userID)).toEqual(
      read.certificate.userIds.map(({ text }) => text),
    )
    expect(key.users.some(({ userAttribute }) => userAttribute !== null)).toBe(false)
  })
})

import { readFileSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../../../src/base/secret.ts'
import { decryptUnauthenticatedStream } from '../../../../src/cm/openpgp/encryption.ts'
import { mergeSecretKeys } from '../../../../src/cm/openpgp/merge-secret-keys.ts'
import { rotateEncryptionSubkey } from '../../../../src/cm/openpgp/rotate-subkey.ts'
import {
  exportSecretKey,
  generateKey,
  isLockedSecretKey,
  missingSecrets,
  readSecretKey,
} from '../../../../src/cm/openpgp/secret-keys.ts'
import type { SecretKey } from '../../../../src/cm/secret-key.ts'

const CASES = new URL('../../../golden/cases/', import.meta.url)
const NOW_MS = Date.parse('2026-12-31T10:00:00Z')
const DAY_MS = 86_400_000
const caseFile = (name: string): string => readFileSync(new URL(name, CASES), 'utf8')

async function secretKeyOf(armored: string, passphrase?: string): Promise<SecretKey> {
  const given = passphrase === undefined ? undefined : new Secret(passphrase)
  const read = await readSecretKey(armored, { nowMs: NOW_MS, passphrase: given })
  if (read.kind !== 'ok') throw new Error(read.kind)
  return read.secretKey
}

async function rotated(secretKey: SecretKey, nowMs: number): Promise<SecretKey> {
  const result = await rotateEncryptionSubkey(secretKey, nowMs)
  if (result.kind !== 'ok') throw new Error(result.kind)
  return result.secretKey
}

/** As GnuPG exports it without the secrets of some parts (`--export-secret-subkeys`). */
async function withStubs(secretKey: SecretKey, isKept: (part: number) => boolean): Promise<string> {
  const key = await openpgp.readPrivateKey({ armoredKey: secretKey.armored.reveal() })
  for (const [part, { keyPacket }] of key.getKeys().entries()) {
    if (!isKept(part) && keyPacket instanceof openpgp.SecretKeyPacket) keyPacket.makeDummy()
  }
  return key.armor()
}

async function opensK16(secretKey: SecretKey): Promise<string> {
  const { data } = await openpgp.unarmor(caseFile('K16.msg.asc'))
  const body = new Response(data as Uint8Array<ArrayBuffer>).body
  if (body === null) throw new Error('no stream')
  const opened = await decryptUnauthenticatedStream(body, [secretKey.armored.reveal()], 1000)
  return opened.kind === 'decrypting' ? await new Response(opened.content).text() : opened.reason
}

describe('a secret key with a passphrase', () => {
  let plain: SecretKey
  let locked: string
  beforeAll(async () => {
    plain = await rotated(
      await generateKey({ name: 'Alice', address: 'alice@example.org', nowMs: NOW_MS - 30 * DAY_MS }),
      NOW_MS - DAY_MS,
    )
    locked = (await exportSecretKey(plain, new Secret('correct horse'))).reveal()
  })

  it('is known as such', async () => {
    expect(await isLockedSecretKey(locked)).toBe(true)
    expect(await isLockedSecretKey(plain.armored.reveal())).toBe(false)
    expect(await isLockedSecretKey(plain.certificate.armored)).toBe(false)
  })

  it('opens with it, whole, and with no other', async () => {
    const opened = await secretKeyOf(locked, 'correct horse')
    expect(opened.armored.reveal()).toBe(plain.armored.reveal())
    for (const wrong of [undefined, '', 'correct horse '])
      await expect(secretKeyOf(locked, wrong)).rejects.toThrow('locked')
  })

  it('that only some of its parts have is asked for all the same', async () => {
    const key = await openpgp.readPrivateKey({ armoredKey: plain.armored.reveal() })
    const last = key.subkeys.at(-1)?.keyPacket
    if (!(last instanceof openpgp.SecretKeyPacket)) throw new Error('no secret subkey')
    await last.encrypt('correct horse')
    expect(await isLockedSecretKey(key.armor())).toBe(true)
    await expect(secretKeyOf(key.armor())).rejects.toThrow('locked')
    expect((await secretKeyOf(key.armor(), 'correct horse')).armored.reveal()).toBe(plain.armored.reveal())
  })

  it('is told apart by what it lacks', async () => {
    const missing = async (isKept: (part: number) => boolean) =>
      missingSecrets(await secretKeyOf(await withStubs(plain, isKept)), NOW_MS)
    expect(await missing(() => true)).toEqual({ sign: false, decrypt: false, isWrong: false })
    expect(await missing((part) => part > 0)).toEqual({ sign: true, decrypt: false, isWrong: false })
    expect(await missing((part) => part < 2)).toEqual({ sign: false, decrypt: true, isWrong: false })
  })

  it('that does not belong to its public half is found', async () => {
    const key = await openpgp.readPrivateKey({ armoredKey: plain.armored.reveal() })
    const other = await generateKey({ name: 'Eve', address: 'eve@example.org', nowMs: NOW_MS })
    const foreign = await openpgp.readPrivateKey({ armoredKey: other.armored.reveal() })
    const { keyPacket } = key
    const { keyPacket: stolen } = foreign
    if (!(keyPacket instanceof openpgp.SecretKeyPacket) || !(stolen instanceof openpgp.SecretKeyPacket))
      throw new Error('no secret key')
    keyPacket.privateParams = stolen.privateParams
    expect(await missingSecrets(await secretKeyOf(key.armor()), NOW_MS)).toMatchObject({ isWrong: true })
  })
})

describe('another export of the same key', () => {
  let first: SecretKey
  let second: SecretKey
  beforeAll(async () => {
    first = await generateKey({ name: 'A', address: 'a@example.org', nowMs: NOW_MS - 60 * DAY_MS })
    second = await rotated(first, NOW_MS - 30 * DAY_MS)
  })

  it('adds its new subkeys', async () => {
    const merged = await mergeSecretKeys(first, second, NOW_MS)
    if (merged.kind !== 'ok') throw new Error(merged.kind)
    const key = await openpgp.readPrivateKey({ armoredKey: second.armored.reveal() })
    expect(merged.gained).toEqual([key.subkeys[1]?.getFingerprint()])
    expect(merged.secretKey.certificate.canEncrypt.kind).toBe('yes')
    expect(await mergeSecretKeys(merged.secretKey, second, NOW_MS)).toEqual({ kind: 'nothing-new' })
  })

  it('takes nothing away, however little it has', async () => {
    expect(await mergeSecretKeys(second, first, NOW_MS)).toEqual({ kind: 'nothing-new' })
    const stubs = await secretKeyOf(await withStubs(second, (part) => part === 1))
    expect(await mergeSecretKeys(second, stubs, NOW_MS)).toEqual({ kind: 'nothing-new' })
  })

  it('fills in secrets that were left out, the primary one too', async () => {
    const poor = await secretKeyOf(await withStubs(second, (part) => part === 1))
    const merged = await mergeSecretKeys(poor, second, NOW_MS)
    if (merged.kind !== 'ok') throw new Error(merged.kind)
    expect(merged.gained).toHaveLength(2)
    expect(await missingSecrets(merged.secretKey, NOW_MS)).toEqual({
      sign: false,
      decrypt: false,
      isWrong: false,
    })
    const rest = await secretKeyOf(await withStubs(second, (part) => part === 2))
    const half = await mergeSecretKeys(poor, rest, NOW_MS)
    expect(half).toMatchObject({ kind: 'ok', gained: [expect.any(String)] })
  })

  it('of another key is refused', async () => {
    const other = await generateKey({ name: 'B', address: 'a@example.org', nowMs: NOW_MS })
    expect(await mergeSecretKeys(first, other, NOW_MS)).toEqual({ kind: 'other-key' })
  })

  it('brings no subkey that the key did not sign', async () => {
    const thief = await generateKey({ name: 'B', address: 'b@example.org', nowMs: NOW_MS })
    const key = await openpgp.readPrivateKey({ armoredKey: first.armored.reveal() })
    const strange = await openpgp.readPrivateKey({ armoredKey: thief.armored.reveal() })
    key.subkeys.push(...strange.subkeys)
    const forged = await secretKeyOf(key.armor())
    expect(await mergeSecretKeys(first, forged, NOW_MS)).toEqual({ kind: 'nothing-new' })
  })
})

describe('K16', () => {
  it('decrypts with the one kept subkey', async () => {
    expect(await opensK16(await secretKeyOf(caseFile('K16-kept-subkey.asc')))).toBe('to three subkeys\n')
  })

  it('decrypts once the kept subkey is imported into a key that lost it', async () => {
    const kept = await secretKeyOf(caseFile('K16-kept-subkey.asc'))
    const lost = await secretKeyOf(await withStubs(kept, () => false))
    expect(await opensK16(lost)).not.toBe('to three subkeys\n')
    const merged = await mergeSecretKeys(lost, kept, NOW_MS)
    if (merged.kind !== 'ok') throw new Error(merged.kind)
    expect(await opensK16(merged.secretKey)).toBe('to three subkeys\n')
  })
})

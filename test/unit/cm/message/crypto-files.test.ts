import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as openpgp from 'openpgp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  decryptBytes,
  decryptFile,
  encryptBytes,
  encryptFile,
  signDetachedFile,
  verifyDetachedFile,
} from '../../../../src/cm/message/crypto-files.ts'
import { signatureIssuers } from '../../../../src/cm/openpgp/detached-signatures.ts'
import { vectorBytes } from '../../../support/vectors.ts'

const key = (name: string): string => vectorBytes(`keys/${name}.asc`).toString()
const ALICE = 'e6e73df5920e7325f02029372afa2d8ead20d7fa'
const DORA_SIGNER = 'dora'
const NOW = Date.UTC(2025, 0, 20, 10)
const DAY = 24 * 60 * 60 * 1000
const XAVIER_EXPIRES = Date.UTC(2025, 0, 25, 12)
const MINUTE = 60_000

let folder = ''
let file = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cm-crypto-'))
  file = join(folder, 'content')
  await writeFile(file, Buffer.alloc(700_000, 'content'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('detached signatures', () => {
  const verify = (signature: Uint8Array, names: string[], nowMs = NOW) =>
    verifyDetachedFile({
      path: file,
      signature,
      certificates: names.map((n) => key(`${n}.pub`)),
      nowMs,
    })

  it.each(['alice', 'bob', 'carol', 'dora', 'ella', 'zofia'])(
    'verify for the primary key of %s',
    async (name) => {
      const signature = await signDetachedFile(file, key(`${name}.sec`), new Date(NOW))
      expect(await verify(signature, ['alice', 'bob', 'carol', 'dora', 'ella', 'zofia'])).toMatchObject({
        kind: 'good',
        createdMs: NOW,
      })
    },
  )

  it('say which key is missing', async () => {
    const signature = await signDetachedFile(file, key('alice.sec'), new Date(NOW))
    expect(await verify(signature, ['bob', DORA_SIGNER])).toEqual({
      kind: 'unknown-key',
      issuer: ALICE.slice(24),
    })
  })

  it('are good up to 15 minutes ahead and future beyond', async () => {
    const signature = await signDetachedFile(file, key('alice.sec'), new Date(NOW))
    expect(await verify(signature, ['alice'], NOW - 15 * MINUTE)).toMatchObject({
      kind: 'good',
      signer: ALICE,
    })
    expect(await verify(signature, ['alice'], NOW - 16 * MINUTE)).toEqual({
      kind: 'future',
      signer: ALICE,
      notBeforeMs: NOW - 15 * MINUTE,
    })
  })

  it('are not good before the key exists or after it expired, or when it is revoked', async () => {
    const alice = await signDetachedFile(file, key('alice.sec'), new Date(NOW))
    expect(await verify(alice, ['alice'], Date.UTC(2025, 0, 1))).toMatchObject({ kind: 'future' })
    const xavier = await signDetachedFile(file, key('xavier.sec'), new Date(NOW))
    expect(await verify(xavier, ['xavier'])).toMatchObject({ kind: 'good' })
    // Signed in time and read late is good (K05); a date that no late mail can have is not believed.
    expect(await verify(xavier, ['xavier'], XAVIER_EXPIRES + 13 * DAY)).toMatchObject({ kind: 'good' })
    expect(await verify(xavier, ['xavier'], XAVIER_EXPIRES + 14 * DAY)).toMatchObject({
      kind: 'bad',
      reason: 'signer-key-expired',
    })
    const ruth = await signDetachedFile(file, key('ruth.sec'), new Date(NOW))
    expect(await verify(ruth, ['ruth'])).toMatchObject({ kind: 'good' })
    expect(await verify(ruth, ['ruth-revoked'], Date.UTC(2025, 1, 1))).toMatchObject({
      kind: 'bad',
      reason: 'signer-key-revoked',
    })
  })

  it('count although another certificate has taken in the signing subkey', async () => {
    const [alice, dora] = await Promise.all(
      ['alice', 'dora'].map((name) => openpgp.readKey({ armoredKey: key(`${name}.pub`) })),
    )
    const signature = await signDetachedFile(file, key('dora.sec'), new Date(NOW))
    const [issuer] = await signatureIssuers(signature)
    const stolen = dora?.subkeys.find((subkey) => subkey.getKeyID().toHex() === issuer)
    if (alice === undefined || stolen === undefined) throw new Error('dora signs by a subkey')
    alice.subkeys.push(stolen)
    const thief = alice.armor()
    const verify2 = (certificates: string[]) =>
      verifyDetachedFile({ path: file, signature, certificates, nowMs: NOW })
    expect(await verify2([thief, key('dora.pub')])).toMatchObject({
      kind: 'good',
      signer: dora?.getFingerprint(),
    })
    expect(await verify2([thief])).toMatchObject({ kind: 'bad', reason: 'signature-wrong' })
  })

  it('are bad over other bytes', async () => {
    const signature = await signDetachedFile(file, key('alice.sec'), new Date(NOW))
    const verdict = await verifyDetachedFile({
      path: file,
      start: 1,
      signature,
      certificates: [key('alice.pub')],
      nowMs: NOW,
    })
    expect(verdict).toEqual({ kind: 'bad', signer: ALICE, reason: 'signature-wrong' })
  })

  it.each([
    ['no bytes', Buffer.alloc(0)],
    ['no packets', Buffer.from('not a signature')],
  ])('are unreadable when they are %s', async (_, bytes) => {
    expect(await verify(bytes, ['alice'])).toMatchObject({ kind: 'bad', reason: 'signature-unreadable' })
  })

  it('are refused when there are two, and when the type is another than binary', async () => {
    const signature = await signDetachedFile(file, key('alice.sec'), new Date(NOW))
    expect(await verify(Buffer.concat([signature, signature]), ['alice'])).toMatchObject({
      reason: 'signature-unreadable',
    })
    const standalone = Buffer.from(signature)
    // Behind the packet header (3 octets for this length) and the version stands the type.
    standalone[4] = 0x02
    expect(await verify(standalone, ['alice'])).toMatchObject({ kind: 'bad', reason: 'signature-type' })
  })
})

describe('encryption', () => {
  const plan = (names: string[]) => ({
    certificates: names.map((name) => key(`${name}.pub`)),
    sessionKey: Buffer.alloc(32, 7),
    date: new Date(NOW),
  })
  const maxBytes = 1_000_000

  it('comes back for every kind of key, with the prefix before the file', async () => {
    const names = ['alice', 'bob', 'carol', 'dora', 'ella', 'zofia']
    const out = join(folder, 'encrypted')
    await encryptFile({ prefix: Buffer.from('PREFIX'), path: file }, out, plan(names))
    for (const name of names) {
      const back = join(folder, `back-${name}`)
      expect(await decryptFile(out, back, { secretKeys: [key(`${name}.sec`)], maxBytes })).toEqual({
        kind: 'ok',
      })
      expect(
        (await readFile(back)).equals(Buffer.concat([Buffer.from('PREFIX'), await readFile(file)])),
      ).toBe(true)
    }
  })

  it('leaves no file behind when the end is damaged, cut, too long or not for us', async () => {
    const out = join(folder, 'whole')
    await encryptFile({ prefix: Buffer.alloc(0), path: file }, out, plan(['alice']))
    const whole = await readFile(out)
    const flipped = Buffer.from(whole)
    flipped.writeUInt8(flipped.readUInt8(400_000) ^ 1, 400_000)
    const back = join(folder, 'never')
    const attempt = async (bytes: Buffer, name = 'alice', limit = maxBytes) => {
      await writeFile(join(folder, 'attempt'), bytes)
      const outcome = await decryptFile(join(folder, 'attempt'), back, {
        secretKeys: [key(`${name}.sec`)],
        maxBytes: limit,
      })
      await expect(stat(back)).rejects.toThrow('ENOENT')
      return outcome
    }
    expect(await attempt(flipped)).toEqual({ kind: 'failed', reason: 'undecryptable' })
    expect(await attempt(whole.subarray(0, 500_000))).toEqual({ kind: 'failed', reason: 'undecryptable' })
    expect(await attempt(whole.subarray(0, whole.length - 20))).toEqual({
      kind: 'failed',
      reason: 'undecryptable',
    })
    expect(await attempt(whole, 'alice', 100_000)).toEqual({ kind: 'failed', reason: 'too-large' })
    expect(await attempt(whole, 'carol')).toEqual({ kind: 'failed', reason: 'not-for-us' })
    expect(await attempt(Buffer.from('hello'))).toEqual({ kind: 'failed', reason: 'not-openpgp' })
    expect(await attempt(Buffer.alloc(0))).toEqual({ kind: 'failed', reason: 'not-openpgp' })
  })

  it('round-trips a few bytes', async () => {
    const encrypted = await encryptBytes(Buffer.from('secret'), plan(['bob']))
    const back = await decryptBytes(encrypted, { secretKeys: [key('bob.sec')], maxBytes: 100 })
    expect(Buffer.from(back ?? []).toString()).toBe('secret')
    expect(await decryptBytes(encrypted, { secretKeys: [key('bob.sec')], maxBytes: 5 })).toBeUndefined()
    expect(await decryptBytes(encrypted, { secretKeys: [key('alice.sec')], maxBytes: 100 })).toBeUndefined()
  })
})

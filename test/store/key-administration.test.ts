import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { createAccountAdministration } from '../../src/bridge/account-administration.ts'
import {
  createKeyAdministration,
  type KeyAdministration,
  MIN_ROTATION_AGE_MS,
} from '../../src/bridge/key-administration.ts'
import { exportOwnSecretKey, exportPublicKey } from '../../src/bridge/key-report.ts'
import { silentLog } from '../../src/bridge/log.ts'
import { createRotateStage } from '../../src/bridge/stages/rotate.ts'
import { exportSecretKey, generateKey, readSecretKey } from '../../src/cm/openpgp/secret-keys.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import { accountByLogin } from '../../src/store/account-queries.ts'
import { storedSecretKey } from '../../src/store/key-queries.ts'
import type { Store } from '../../src/store/open-store.ts'
import type { DueWork } from '../../src/store/work-rows.ts'
import { createTempDirectory, createTestClock, openTestStore, type TestClock } from '../support/store.ts'

/** Rotation and import on a real database: what is stored, in what order, and what is not. */

const ADDRESS = 'alice@example.org'
const DAY_MS = 86_400_000
const CASES = new URL('../golden/cases/', import.meta.url)

let directory: { path: string; remove(): Promise<void> }
let clock: TestClock
let store: Store
let keys: KeyAdministration
let due: DueWork[]

const accounts = () => createAccountAdministration({ store, clock, randomBytes, log: silentLog })
const request = { address: ADDRESS, displayName: 'Alice', servers: [], authKey: undefined }

function accountId(): number {
  const account = accountByLogin(store.read, ADDRESS)
  if (account === undefined) throw new Error('no account')
  return account.id
}

async function storedKey(): Promise<SecretKey> {
  const stored = storedSecretKey(store.read, accountId())
  if (stored === undefined) throw new Error('no key')
  const read = await readSecretKey(stored.armored.reveal(), { nowMs: clock.now() })
  if (read.kind !== 'ok') throw new Error(read.kind)
  return read.secretKey
}

const rowCount = (): number => store.read.get<{ n: number }>('SELECT count(*) AS n FROM keys')?.n ?? 0
const announceRow = () =>
  store.read.get<{ attempt: number; next_attempt_ms: number; wake: number }>(
    "SELECT attempt, next_attempt_ms, wake FROM work WHERE row LIKE 'announce%'",
  )
async function reopen(): Promise<void> {
  await store.close()
  store = await openTestStore(directory.path, clock)
  keys = createKeyAdministration({ store, clock, randomBytes })
}

beforeEach(async () => {
  directory = await createTempDirectory()
  clock = createTestClock()
  store = await openTestStore(directory.path, clock)
  due = []
  keys = createKeyAdministration({ store, clock, randomBytes, onDue: (rows) => due.push(...rows) })
})

afterEach(async () => {
  await store.close()
  await directory.remove()
})

describe('a rotation', () => {
  beforeEach(async () => {
    const added = await accounts().add({ ...request, secretKeyArmor: undefined })
    if (added.kind !== 'ok') throw new Error(added.reason)
  })

  it('is refused in the first week unless forced, and says from when the subkey is', async () => {
    clock.advance(MIN_ROTATION_AGE_MS - DAY_MS)
    const refused = await keys.rotate({ account: ADDRESS, isForced: false })
    expect(refused).toMatchObject({ kind: 'refused', reason: expect.stringContaining('2026-11-25') })
    expect(rowCount()).toBe(1)
    expect((await keys.rotate({ account: 'alice', isForced: true })).kind).toBe('ok')
    clock.advance(MIN_ROTATION_AGE_MS)
    expect((await keys.rotate({ account: ADDRESS, isForced: false })).kind).toBe('ok')
    expect(rowCount()).toBe(3)
  })

  it('is stored and its announcement due in one commit, so that a crash in between loses neither', async () => {
    await store.write('ensureWork', {
      row: `announce${accountId()}`,
      accountId: accountId(),
      stage: 'announce',
    })
    await store.write('scheduleWork', {
      row: `announce${accountId()}`,
      accountId: accountId(),
      stage: 'announce',
      delayMs: 6 * DAY_MS,
    })
    clock.advance(30 * DAY_MS)
    await store.write('scheduleWork', {
      row: `announce${accountId()}`,
      accountId: accountId(),
      stage: 'announce',
      delayMs: 6 * DAY_MS,
    })
    const before = announceRow()
    // Nobody tells the queue: the process ends right after the commit.
    const silent = createKeyAdministration({ store, clock, randomBytes })
    const outcome = await silent.rotate({ account: ADDRESS, isForced: false })
    if (outcome.kind !== 'ok') throw new Error(outcome.kind)
    await reopen()
    expect(announceRow()).toMatchObject({
      attempt: (before?.attempt ?? 0) + 1,
      next_attempt_ms: clock.now(),
    })
    const key = await openpgp.readPrivateKey({ armoredKey: (await storedKey()).armored.reveal() })
    expect(key.subkeys.map((subkey) => subkey.getFingerprint())).toContain(outcome.newSubkey)
  })

  it('during a running announcement lets it run again', async () => {
    const row = `announce${accountId()}`
    const work = await store.write('ensureWork', { row, accountId: accountId(), stage: 'announce' })
    const lease = { row, attempt: work.attempt, incarnation: 'test' }
    await store.write('claimWork', { lease, stage: 'announce' })
    await keys.rotate({ account: ADDRESS, isForced: true })
    expect(due).toEqual([])
    expect(await store.write('repeatWork', { lease, delayMs: 6 * DAY_MS })).toMatchObject({
      nextAttemptMs: clock.now(),
    })
  })

  it('is what is used afterwards, also when the clock was set back', async () => {
    await keys.rotate({ account: ADDRESS, isForced: true })
    const first = await storedKey()
    clock = createTestClock(clock.now() - 2000)
    await reopen()
    const outcome = await keys.rotate({ account: ADDRESS, isForced: true })
    expect(outcome.kind).toBe('ok')
    expect((await storedKey()).armored.reveal()).not.toBe(first.armored.reveal())
  })

  it('beside another loses none of the two', async () => {
    const both = await Promise.all([
      keys.rotate({ account: ADDRESS, isForced: true }),
      keys.rotate({ account: ADDRESS, isForced: true }),
    ])
    const made = both.map((outcome) => (outcome.kind === 'ok' ? outcome.newSubkey : outcome.kind))
    const key = await openpgp.readPrivateKey({ armoredKey: (await storedKey()).armored.reveal() })
    expect(key.subkeys.map((subkey) => subkey.getFingerprint())).toEqual(expect.arrayContaining(made))
    expect(key.subkeys).toHaveLength(3)
  })

  it('of nobody says so', async () => {
    expect(await keys.rotate({ account: 'bob@example.org', isForced: true })).toEqual({
      kind: 'no-such-account',
    })
  })
})

describe('a key with a passphrase', () => {
  let locked: Secret<string>
  let keyId: string
  beforeEach(async () => {
    const made = await generateKey({ name: 'Alice', address: ADDRESS, nowMs: clock.now() - DAY_MS })
    keyId = made.certificate.keyId
    locked = await exportSecretKey(made, new Secret('correct horse'))
  })
  const add = (passphrase: string | undefined) =>
    accounts().add({
      ...request,
      secretKeyArmor: locked,
      passphrase: passphrase === undefined ? undefined : new Secret(passphrase),
    })

  it('is added with it, and kept without it', async () => {
    expect(await add('correct horse')).toMatchObject({ kind: 'ok', keyId })
    expect((await storedKey()).certificate.keyId).toBe(keyId)
  })

  it('leaves nothing behind when it is wrong or not given', async () => {
    expect(await add('correct house')).toEqual({
      kind: 'refused',
      reason: 'the passphrase is wrong: nothing was stored',
    })
    expect(await add(undefined)).toMatchObject({ reason: expect.stringContaining('--passphrase-file') })
    expect(accountByLogin(store.read, ADDRESS)).toBeUndefined()
    expect(rowCount()).toBe(0)
  })
})

describe('a key file', () => {
  const K04 = readFileSync(new URL('K04-secret.asc', CASES), 'utf8')
  const add = (text: string, address = 'multi@example.net') =>
    accounts().add({ ...request, address, secretKeyArmor: new Secret(text) })

  it('with two secret keys gives the one that carries the address', async () => {
    const other = await generateKey({ name: 'A', address: ADDRESS, nowMs: clock.now() - DAY_MS })
    const text = `${other.armored.reveal()}${K04.replace(/^/gm, '> ')}`
    expect(await add(text)).toMatchObject({ kind: 'ok', keyId: 'a9b99c3cbdb2b7d382dab794969b7c38489cdbed' })
    const refused = await add(text, 'carol@example.org')
    expect(refused).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining(other.certificate.keyId),
    })
  })

  it.each([
    ['a public key', readFileSync(new URL('K04.asc', CASES), 'utf8'), 'public key'],
    ['text', 'hello', 'line 1: '],
    ['a key for another address', readFileSync(new URL('K07-secret.asc', CASES), 'utf8'), 'made later'],
  ])('with %s is refused in one line', async (_name, text, words) => {
    const outcome = await add(text)
    expect(outcome).toMatchObject({ kind: 'refused', reason: expect.stringContaining(words) })
    expect(rowCount()).toBe(0)
  })

  it('without the secret of its primary key is refused', async () => {
    clock.advance(60 * DAY_MS)
    const outcome = await add(
      readFileSync(new URL('K16-kept-subkey.asc', CASES), 'utf8'),
      'rotated@example.net',
    )
    expect(outcome).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('--export-secret-keys'),
    })
  })
})

describe('an import into an account', () => {
  let original: SecretKey
  beforeEach(async () => {
    original = await generateKey({ name: 'Alice', address: ADDRESS, nowMs: clock.now() - 30 * DAY_MS })
    const added = await accounts().add({ ...request, secretKeyArmor: original.armored })
    if (added.kind !== 'ok') throw new Error(added.reason)
  })
  const importText = (text: string) =>
    keys.importKey({ account: ADDRESS, text: new Secret(text), passphrase: undefined })

  it('adds a subkey made elsewhere, once', async () => {
    const key = await openpgp.readPrivateKey({ armoredKey: original.armored.reveal() })
    const more = await key.addSubkey({ type: 'ecc', curve: 'curve25519Legacy', date: new Date(clock.now()) })
    const gained = [more.subkeys[1]?.getFingerprint()]
    expect(await importText(more.armor())).toMatchObject({ kind: 'ok', gained, isNew: true, retried: 0 })
    expect(await importText(more.armor())).toMatchObject({ kind: 'ok', gained: [], isNew: false })
    expect(rowCount()).toBe(2)
  })

  it('of another key is refused and named', async () => {
    const other = await generateKey({ name: 'Alice', address: ADDRESS, nowMs: clock.now() })
    expect(await importText(other.armored.reveal())).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining(other.certificate.keyId),
    })
    expect(rowCount()).toBe(1)
  })

  it('after an export is nothing new', async () => {
    const passphrase = new Secret('correct horse')
    const options = { passphrase, nowMs: clock.now() }
    const exported = await exportOwnSecretKey(store.read, accountId(), options)
    if (exported.kind !== 'ok') throw new Error(exported.kind)
    const back = await keys.importKey({ account: ADDRESS, text: exported.armored, passphrase })
    expect(back).toMatchObject({ kind: 'ok', isNew: false })
    const open = await exportOwnSecretKey(store.read, accountId(), { ...options, passphrase: undefined })
    expect(open.kind === 'ok' && open.armored.reveal()).toBe((await storedKey()).armored.reveal())
    expect(await exportPublicKey(store.read, accountId())).toContain('BEGIN PGP PUBLIC KEY BLOCK')
  })
})

describe('the schedule of an account', () => {
  const run = () => {
    const stage = createRotateStage({ store, clock, randomBytes })
    const lease = { row: 'rotate', attempt: 1, incarnation: 'test' }
    return stage({ lease, accountId: accountId(), failures: 0, signal: AbortSignal.timeout(60_000) })
  }
  const setDays = (rotateDays: number) => accounts().set({ account: ADDRESS, rotateDays })
  beforeEach(async () => {
    const added = await accounts().add({ ...request, secretKeyArmor: undefined })
    if (added.kind !== 'ok') throw new Error(added.reason)
  })

  it('changes nothing while there is none', async () => {
    clock.advance(4000 * DAY_MS)
    expect(await run()).toEqual({ kind: 'repeat', delayMs: DAY_MS })
    expect(rowCount()).toBe(1)
  })

  it('changes the subkey when it is old enough, and not before, and not twice', async () => {
    await setDays(30)
    clock.advance(29.5 * DAY_MS)
    expect(await run()).toMatchObject({ kind: 'repeat', delayMs: DAY_MS / 2 })
    expect(rowCount()).toBe(1)
    clock.advance(DAY_MS / 2)
    expect(await run()).toMatchObject({ kind: 'repeat', delayMs: DAY_MS })
    expect(rowCount()).toBe(2)
    // As after a crash between the change and the end of the stage.
    await run()
    clock.advance(29 * DAY_MS)
    await run()
    expect(rowCount()).toBe(2)
    clock.advance(DAY_MS)
    await run()
    expect(rowCount()).toBe(3)
  })

  it('makes the announcement due', async () => {
    await setDays(30)
    const row = `announce${accountId()}`
    await store.write('ensureWork', { row, accountId: accountId(), stage: 'announce' })
    clock.advance(30 * DAY_MS)
    expect(await run()).toMatchObject({ due: [{ row, nextAttemptMs: clock.now() }] })
  })
})

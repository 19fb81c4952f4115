import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import type { KeyId } from '../../src/cm/ids.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import {
  accountByLogin,
  listAccounts,
  listAppPasswords,
  loadAuthKey,
  loadSecretKey,
} from '../../src/store/account-queries.ts'
import {
  addAppPassword,
  createAccount,
  type NewAccount,
  verifyAppPassword,
} from '../../src/store/accounts.ts'
import { createCertificateMemory, listServerCertificates } from '../../src/store/certificate-memory.ts'
import type { Store } from '../../src/store/open-store.ts'
import { append, select } from '../contract/account-mail-session.ts'
import { createTempDirectory, createTestClock, insertTestAccount, openTestStore } from '../support/store.ts'

let directory: Awaited<ReturnType<typeof createTempDirectory>>
let store: Store
const clock = createTestClock()

beforeEach(async () => {
  directory = await createTempDirectory()
  store = await openTestStore(directory.path, clock)
})
afterEach(async () => {
  await store.close()
  await directory.remove()
})

function newAccount(changes: Partial<NewAccount> = {}): NewAccount {
  return {
    address: 'Alice@Example.org',
    shortName: 'alice',
    displayName: 'Alice Example',
    keyId: randomBytes(20).toString('hex') as KeyId,
    servers: ['cm.example.org:8081', '127.0.0.1:8082'],
    secretKey: new Secret('-----BEGIN PGP PRIVATE KEY BLOCK-----'),
    appPasswordName: 'laptop',
    ...changes,
  }
}

async function create(changes: Partial<NewAccount> = {}) {
  const outcome = await createAccount(store, newAccount(changes), randomBytes)
  if (outcome.kind !== 'ok') throw new Error(outcome.what)
  return outcome
}

function verify(name: string, password: Secret<string>, scope: 'imap' | 'smtp' = 'imap') {
  return verifyAppPassword(store, { name, password, scope }, clock.now())
}

describe('an account', () => {
  it('is kept with its key, its servers and its authentication key', async () => {
    const { accountId } = await create({ authKey: new Secret('auth-key') })
    expect(listAccounts(store.read)).toMatchObject([
      {
        id: accountId,
        address: 'alice@example.org',
        shortName: 'alice',
        displayName: 'Alice Example',
        servers: ['cm.example.org:8081', '127.0.0.1:8082'],
        state: 'active',
      },
    ])
    expect(loadSecretKey(store.read, accountId)?.reveal()).toContain('PRIVATE KEY')
    expect(loadAuthKey(store.read, accountId)?.reveal()).toBe('auth-key')
    expect(accountByLogin(store.read, ' ALICE@example.ORG')?.id).toBe(accountId)
  })

  it('with an address, a short name or a key that is here already is refused', async () => {
    const keyId = randomBytes(20).toString('hex') as KeyId
    await create({ keyId })
    const attempt = (changes: Partial<NewAccount>) => createAccount(store, newAccount(changes), randomBytes)
    expect(await attempt({ shortName: 'other' })).toEqual({ kind: 'already-exists', what: 'address' })
    expect(await attempt({ address: 'b@example.org' })).toEqual({
      kind: 'already-exists',
      what: 'short name',
    })
    expect(await attempt({ address: 'b@example.org', shortName: 'alice@example.org' })).toEqual({
      kind: 'already-exists',
      what: 'short name',
    })
    expect(await attempt({ address: 'b@example.org', shortName: 'b', keyId })).toEqual({
      kind: 'already-exists',
      what: 'key',
    })
    expect(listAccounts(store.read)).toHaveLength(1)
  })

  it('cannot see the mail of another', async () => {
    const alice = await create()
    const bob = await create({ address: 'bob@example.net', shortName: 'bob' })
    const mails = [alice, bob].map(({ accountId }) =>
      createAccountMail({ store, accountId, accountName: '', maxMessageBytes: 1000 }),
    )
    if (mails[0] === undefined || mails[1] === undefined) throw new Error('two accounts')
    const watching = await select(mails[1], 'INBOX')
    await append(mails[0], 'INBOX')
    await mails[0].createMailbox('private')
    expect(await mails[1].status('INBOX')).toMatchObject({ messages: 0 })
    expect(await mails[1].status('private')).toBeUndefined()
    expect(watching.changes).toEqual([])
  })

  it('is removed with everything of it, its sessions end, and its address is free again', async () => {
    const { accountId } = await create()
    await create({ address: 'bob@example.net', shortName: 'bob' })
    const mail = createAccountMail({ store, accountId, accountName: '', maxMessageBytes: 1000 })
    await append(mail, 'INBOX')
    const session = await select(mail, 'INBOX')
    expect(await store.write('removeAccount', { accountId })).toBe(true)
    expect(session.changes).toEqual([{ kind: 'deleted' }])
    expect(await store.write('removeAccount', { accountId })).toBe(false)
    expect(listAccounts(store.read).map((account) => account.address)).toEqual(['bob@example.net'])
    for (const table of ['messages', 'app_passwords', 'keys', 'subscriptions']) {
      const left = store.read.get(`SELECT count(*) AS count FROM ${table}`)
      expect(left, table).toEqual({
        count: { messages: 0, app_passwords: 1, keys: 1, subscriptions: 8 }[table],
      })
    }
    await create()
  })
})

describe('app passwords', () => {
  it('have at least 100 bits, are shown once and stored only as a hash', async () => {
    const { appPassword } = await create()
    expect(appPassword.reveal()).toMatch(/^([a-z2-9]{4}-){5}[a-z2-9]{4}$/)
    expect(inspect(appPassword)).not.toContain(appPassword.reveal())
    const rows = store.read.all<Record<string, unknown>>('SELECT * FROM app_passwords')
    const stored = rows
      .flatMap((row) => Object.values(row))
      .map((value) => Buffer.from(String(value)).toString())
    expect(stored.join()).not.toContain(appPassword.reveal())
  })

  it('let in by address or short name, in any case, with or without dashes', async () => {
    const { appPassword, accountId } = await create()
    for (const name of ['alice@example.org', 'ALICE', 'Alice@EXAMPLE.org']) {
      expect(await verify(name, appPassword)).toMatchObject({ kind: 'ok', account: { id: accountId } })
    }
    const typed = new Secret(appPassword.reveal().replaceAll('-', '').toUpperCase())
    expect(await verify('alice', typed, 'smtp')).toMatchObject({ kind: 'ok' })
  })

  it('refuse wrong, empty and endless passwords, unknown names, and those of others', async () => {
    const { appPassword } = await create()
    const bob = await create({ address: 'bob@example.net', shortName: 'bob' })
    for (const password of ['', 'x', `${appPassword.reveal()}x`, 'y'.repeat(100_000)]) {
      expect(await verify('alice', new Secret(password))).toEqual({ kind: 'refused' })
    }
    expect(await verify('nobody', appPassword)).toEqual({ kind: 'refused' })
    expect(await verify('', appPassword)).toEqual({ kind: 'refused' })
    expect(await verify('alice', bob.appPassword)).toEqual({ kind: 'refused' })
  })

  it('are for their scope only, and can be added and revoked one by one', async () => {
    const { accountId, appPassword } = await create()
    const phone = await addAppPassword(store, { accountId, name: 'phone', scopes: ['smtp'], randomBytes })
    if (phone === undefined) throw new Error('not added')
    expect(await addAppPassword(store, { accountId, name: 'phone', scopes: [], randomBytes })).toBeUndefined()
    expect(await verify('alice', phone, 'smtp')).toMatchObject({ kind: 'ok' })
    expect(await verify('alice', phone, 'imap')).toEqual({ kind: 'refused' })
    expect(await store.write('revokeAppPassword', { accountId, name: 'laptop' })).toBe(true)
    expect(await verify('alice', appPassword)).toEqual({ kind: 'refused' })
    expect(await verify('alice', phone, 'smtp')).toMatchObject({ kind: 'ok' })
  })

  it('remember when they were last used, to the hour', async () => {
    const { accountId, appPassword } = await create()
    const lastUsed = () => listAppPasswords(store.read, accountId)[0]?.lastUsedAtMs
    expect(lastUsed()).toBeNull()
    await verify('alice', appPassword)
    const first = lastUsed()
    expect(first).toBe(clock.now())
    clock.advance(duration.minute)
    await verify('alice', appPassword)
    expect(lastUsed()).toBe(first)
    clock.advance(duration.hour)
    await verify('alice', appPassword)
    expect(lastUsed()).toBe(clock.now())
  })
})

describe('remembered certificates', () => {
  const certificate = (sha256: string) => ({ sha256, description: `subject ${sha256}`, firstSeenMs: 5 })

  it('keep the first sight, report each change once, and change only by replace', async () => {
    const changes: string[] = []
    const memory = createCertificateMemory({
      store,
      onChange: ({ kind, seen }) => changes.push(`${kind} ${seen.sha256}`),
    })
    expect(await memory.recall('h:1')).toBeUndefined()
    await memory.remember('h:1', certificate('aa'))
    await memory.remember('h:1', certificate('bb'))
    expect(await memory.recall('h:1')).toEqual(certificate('aa'))
    await memory.reportChange('h:1', certificate('bb'))
    await memory.reportChange('h:1', certificate('bb'))
    await memory.reportChange('h:1', certificate('cc'))
    expect(await memory.recall('h:1')).toEqual(certificate('aa'))
    await memory.replace('h:1', certificate('cc'))
    expect(await memory.recall('h:1')).toEqual(certificate('cc'))
    expect(changes).toEqual(['reported bb', 'reported cc', 'replaced cc'])
  })

  it('of strangers are forgotten when they become too many, those of account servers never', async () => {
    await insertTestAccount(store, 'dave@example.org', ['CM.example.org:8081'])
    const memory = createCertificateMemory({ store })
    await memory.remember('cm.example.org:8081', certificate('aa'))
    const strangers = Array.from({ length: 2001 }, (_, index) => `stranger.example:${10_000 + index}`)
    await Promise.all(
      strangers.map((hostPort, index) =>
        memory.remember(hostPort, { ...certificate('bb'), firstSeenMs: 5000 + index }),
      ),
    )
    expect(listServerCertificates(store.read)).toHaveLength(2001)
    expect(await memory.recall('cm.example.org:8081')).toEqual(certificate('aa'))
    expect(await memory.recall(strangers[0] ?? '')).toBeUndefined()
    expect(await memory.recall(strangers[2000] ?? '')).toBeDefined()
  })

  it('change when the owner accepts, and only then', async () => {
    const accept = (hostPort: string) => store.write('acceptCertificate', { hostPort })
    const memory = createCertificateMemory({ store })
    expect(await accept('h:1')).toEqual({ kind: 'no-such-server' })
    await memory.remember('h:1', certificate('aa'))
    await memory.remember('g:1', certificate('gg'))
    expect(await accept('h:1')).toEqual({ kind: 'nothing-to-accept' })
    await memory.reportChange('h:1', certificate('bb'))
    expect(listServerCertificates(store.read)).toEqual([
      { hostPort: 'g:1', remembered: certificate('gg'), changed: null },
      { hostPort: 'h:1', remembered: certificate('aa'), changed: certificate('bb') },
    ])
    expect(await accept('h:1')).toEqual({ kind: 'accepted', certificate: certificate('bb') })
    expect(await memory.recall('h:1')).toEqual(certificate('bb'))
    expect(await memory.recall('g:1')).toEqual(certificate('gg'))
    expect(await accept('h:1')).toEqual({ kind: 'nothing-to-accept' })
  })
})

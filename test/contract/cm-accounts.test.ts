import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CmAccounts } from '../../src/cm/server/port.ts'
import { blockStores } from '../support/cm-block-stores.ts'
import { MemoryCmAccounts } from '../support/memory-cm-blocks.ts'

const USER = 'C38830C357EF0AEA6992FB756A7E1664812EBED4'

const stores = blockStores(Date.UTC(2026, 10, 25))

describe.each([
  [
    'SQLite',
    async (entries: Record<string, string>) => {
      const { accounts } = await stores.open()
      await accounts.importFile(Object.entries(entries).map(([authKey, userId]) => ({ authKey, userId })))
      return accounts as CmAccounts
    },
  ],
  ['memory', async (entries: Record<string, string>) => new MemoryCmAccounts(entries) as CmAccounts],
])('CmAccounts on %s', (_, create) => {
  it('compares key ids without regard to case, auth keys exactly', async () => {
    const accounts = await create({ ACCOUNTKEY000001: USER })
    expect(await accounts.login(USER.toLowerCase(), 'ACCOUNTKEY000001')).toMatchObject({
      kind: 'ok',
      userId: USER,
    })
    expect(await accounts.login(USER, 'accountkey000001')).toEqual({ kind: 'refused' })
    expect(await accounts.login('A'.repeat(40), 'ACCOUNTKEY000001')).toEqual({ kind: 'refused' })
  })

  it('binds an undefined key to the first user, for good, but never to a role', async () => {
    const accounts = await create({ NEWKEY0001: 'undefined' })
    for (const role of ['undefined', 'UNDEFINED', 'Administrator', 'replication']) {
      expect(await accounts.login(role, 'NEWKEY0001')).toEqual({ kind: 'refused' })
    }
    expect(await accounts.login(USER, 'NEWKEY0001')).toMatchObject({ kind: 'ok', userId: USER })
    expect(await accounts.login('B'.repeat(40), 'NEWKEY0001')).toEqual({ kind: 'refused' })
    expect(await accounts.login(USER, 'NEWKEY0001')).toMatchObject({ kind: 'ok', userId: USER })
  })

  it('refuses a disabled key', async () => {
    const accounts = await create({ NEWKEY0002: 'disabled' })
    expect(await accounts.login(USER, 'NEWKEY0002')).toEqual({ kind: 'refused' })
    expect(await accounts.login('disabled', 'NEWKEY0002')).toEqual({ kind: 'refused' })
  })

  it('gives a key to another user, to nobody, and to whoever comes first again', async () => {
    const accounts = await create({ ACCOUNTKEY000001: USER })
    const other = 'B'.repeat(40)
    await accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId: other }])
    expect((await accounts.login(USER, 'ACCOUNTKEY000001')).kind).toBe('refused')
    expect((await accounts.login(other, 'ACCOUNTKEY000001')).kind).toBe('ok')
    await accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId: 'disabled' }])
    expect((await accounts.login(other, 'ACCOUNTKEY000001')).kind).toBe('refused')
    await accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId: 'undefined' }])
    expect((await accounts.login(USER, 'ACCOUNTKEY000001')).kind).toBe('ok')
  })

  it('ends a login when its key is taken away, and leaves those of other keys alone', async () => {
    const accounts = await create({ ACCOUNTKEY000001: USER, NEWKEY0001: USER })
    const logins = [await accounts.login(USER, 'ACCOUNTKEY000001'), await accounts.login(USER, 'NEWKEY0001')]
    const valid = (): boolean[] => logins.map((login) => login.kind === 'ok' && login.isValid())
    await accounts.assign([{ authKey: 'OTHERKEY0001', userId: USER }])
    expect(valid()).toEqual([true, true])
    await accounts.assign([{ authKey: 'NEWKEY0001', userId: 'disabled' }])
    expect(valid()).toEqual([true, false])
    await accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId: 'B'.repeat(40) }])
    expect(valid()).toEqual([false, false])
  })

  it('lets two keys belong to one user', async () => {
    const accounts = await create({ ACCOUNTKEY000001: USER, NEWKEY0001: 'undefined' })
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('ok')
    expect((await accounts.login(USER, 'ACCOUNTKEY000001')).kind).toBe('ok')
  })

  it('makes changes in the order they were asked for', async () => {
    const accounts = await create({})
    const users = [USER, 'disabled', 'B'.repeat(40)]
    await Promise.all(users.map((userId) => accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId }])))
    expect((await accounts.login('B'.repeat(40), 'ACCOUNTKEY000001')).kind).toBe('ok')
  })
})

describe('CmAccountTable', () => {
  it('keeps bindings when the file is read again, takes overrides and forgets removed keys', async () => {
    const { accounts } = await stores.open()
    const fresh = { authKey: 'NEWKEY0001', userId: 'undefined' }
    const old = { authKey: 'OLDKEY0001', userId: USER }
    await accounts.assign([{ authKey: 'OWNKEY0001', userId: USER }])
    await accounts.importFile([fresh, old])
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('ok')
    await accounts.importFile([fresh])
    expect((await accounts.login('B'.repeat(40), 'NEWKEY0001')).kind).toBe('refused')
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('ok')
    expect((await accounts.login(USER, 'OLDKEY0001')).kind).toBe('refused')
    expect((await accounts.login(USER, 'OWNKEY0001')).kind).toBe('ok')
    await accounts.importFile([{ authKey: 'NEWKEY0001', userId: 'disabled' }])
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('refused')
  })

  it('lets what a command said of a key stand when the file is read again, unless the file disables it', async () => {
    const { accounts } = await stores.open()
    const file = [{ authKey: 'FILEKEY0001', userId: USER }]
    await accounts.importFile(file)
    await accounts.assign([{ authKey: 'FILEKEY0001', userId: 'disabled' }])
    await accounts.importFile(file)
    expect((await accounts.login(USER, 'FILEKEY0001')).kind).toBe('refused')
    await accounts.assign([{ authKey: 'OWNKEY0001', userId: USER }])
    await accounts.importFile([{ authKey: 'OWNKEY0001', userId: 'disabled' }])
    expect((await accounts.login(USER, 'OWNKEY0001')).kind).toBe('refused')
  })

  it('knows keys that were good or stand in the file without hashing them again', async () => {
    const { accounts } = await stores.open()
    await accounts.importFile([{ authKey: 'FILEKEY0001', userId: 'undefined' }])
    await accounts.assign([{ authKey: 'OWNKEY0001', userId: USER }])
    expect((await accounts.login(USER, 'FILEKEY0001', { which: 'remembered' })).kind).toBe('ok')
    expect((await accounts.login(USER, 'OWNKEY0001', { which: 'remembered' })).kind).toBe('refused')
    expect((await accounts.login(USER, 'OWNKEY0001')).kind).toBe('ok')
    expect((await accounts.login(USER, 'OWNKEY0001', { which: 'remembered' })).kind).toBe('ok')
    expect((await accounts.login('B'.repeat(40), 'OWNKEY0001', { which: 'remembered' })).kind).toBe('refused')
  })

  it('writes no key in clear', async () => {
    const store = await stores.open()
    await store.accounts.assign([{ authKey: 'VERYSECRETKEY0001', userId: USER }])
    await stores.close(store)
    for (const name of readdirSync(stores.directory()).filter((file) => file.startsWith('blocks.db'))) {
      expect(readFileSync(join(stores.directory(), name)).includes('VERYSECRETKEY0001')).toBe(false)
    }
  })
})

import { cp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Uid } from '../../src/imap/port.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { directoryLayout } from '../../src/store/database-file.ts'
import { DamagedDatabaseError } from '../../src/store/errors.ts'
import { append, select } from '../contract/account-mail-session.ts'
import { createTempDirectory, insertTestAccount, openTestStore } from '../support/store.ts'

let directory: Awaited<ReturnType<typeof createTempDirectory>>
let backup: Awaited<ReturnType<typeof createTempDirectory>>

beforeEach(async () => {
  directory = await createTempDirectory()
  backup = await createTempDirectory()
})
afterEach(async () => {
  await directory.remove()
  await backup.remove()
})

async function openMail(accountId?: number) {
  const store = await openTestStore(directory.path)
  const id = accountId ?? (await insertTestAccount(store))
  const mail = createAccountMail({ store, accountId: id, accountName: 'a', maxMessageBytes: 1000 })
  return { store, mail, accountId: id }
}

async function backUp(): Promise<void> {
  await cp(directoryLayout(directory.path).databasePath, join(backup.path, 'bridge.db'))
}

async function restore(): Promise<void> {
  const { databasePath } = directoryLayout(directory.path)
  for (const suffix of ['-wal', '-shm']) await rm(databasePath + suffix, { force: true })
  await cp(join(backup.path, 'bridge.db'), databasePath)
}

describe('an older copy of the database put back', () => {
  it('lifts UIDNEXT and MODSEQ above everything served, and says so once', async () => {
    const { store, mail, accountId } = await openMail()
    await append(mail, 'INBOX')
    await append(mail, 'INBOX')
    await store.close()
    await backUp()
    const later = await openMail(accountId)
    expect(later.store.isRestored).toBe(false)
    for (let count = 0; count < 3; count += 1) await append(later.mail, 'INBOX', { flags: ['\\Deleted'] })
    const { mailbox } = await select(later.mail, 'INBOX')
    await mailbox.storeFlags([1 as Uid], 'add', ['\\Seen'])
    await mailbox.expunge([3 as Uid])
    const served = await later.mail.status('INBOX')
    await later.store.close()

    await restore()
    const restored = await openMail(accountId)
    expect(restored.store.isRestored).toBe(true)
    const status = await restored.mail.status('INBOX')
    expect(status?.uidValidity).toBe(served?.uidValidity)
    expect(status?.uidNext).toBeGreaterThan(served?.uidNext ?? Number.NaN)
    expect(status?.highestModSeq).toBeGreaterThan(served?.highestModSeq ?? Number.NaN)
    const reopened = await select(restored.mail, 'INBOX')
    expect(reopened.mailbox.messages.map(({ uid, flags }) => ({ uid, flags }))).toEqual([
      { uid: 1, flags: [] },
      { uid: 2, flags: [] },
    ])
    const oldest = Math.min(...reopened.mailbox.messages.map(({ modSeq }) => modSeq))
    expect(oldest).toBeGreaterThan(served?.highestModSeq ?? Number.NaN)
    const outcome = await append(restored.mail, 'INBOX')
    expect(outcome.kind === 'ok' && outcome.uid).toBeGreaterThanOrEqual(served?.uidNext ?? Number.NaN)
    await restored.store.close()
    const again = await openMail(accountId)
    expect(again.store.isRestored).toBe(false)
    await again.store.close()
  })

  it('gives a mailbox that was deleted since a new UIDVALIDITY', async () => {
    const { store, mail, accountId } = await openMail()
    await mail.createMailbox('x')
    const before = await mail.status('x')
    await store.close()
    await backUp()
    const later = await openMail(accountId)
    await later.mail.deleteMailbox('x')
    await later.mail.createMailbox('y')
    const newest = await later.mail.status('y')
    await later.store.close()
    await restore()
    const restored = await openMail(accountId)
    const after = await restored.mail.status('x')
    expect(after?.uidValidity).toBeGreaterThan(newest?.uidValidity ?? Number.NaN)
    expect(after?.uidValidity).not.toBe(before?.uidValidity)
    await restored.store.close()
  })

  it('is noticed by nobody when nothing happened since: restarts leave every number alone', async () => {
    const { store, mail, accountId } = await openMail()
    await append(mail, 'INBOX')
    const before = await mail.status('INBOX')
    await store.close()
    for (let count = 0; count < 3; count += 1) {
      const again = await openMail(accountId)
      expect(again.store.isRestored).toBe(false)
      expect(await again.mail.status('INBOX')).toEqual(before)
      await again.store.close()
    }
  })
})

describe('the mark itself', () => {
  it('without its database means a lost database, and damaged it is an error that names it', async () => {
    const { store } = await openMail()
    await store.close()
    const { databasePath, highWaterPath } = directoryLayout(directory.path)
    await writeFile(highWaterPath, '{')
    await expect(openTestStore(directory.path)).rejects.toThrow(/high-water/)
    await rm(databasePath)
    await expect(openTestStore(directory.path)).rejects.toBeInstanceOf(DamagedDatabaseError)
  })
})

import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import type { Uid } from '../../src/imap/port.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { blobPath, MAX_INLINE_BYTES } from '../../src/store/blob-store.ts'
import { directoryLayout } from '../../src/store/database-file.ts'
import { DamagedDatabaseError, NewerDatabaseError } from '../../src/store/errors.ts'
import { MAIL_TABLES } from '../../src/store/migrations/0001-mail.ts'
import { SCHEMA_VERSION } from '../../src/store/migrations.ts'
import { openStoreForReading, REMOVAL_GRACE_MS, type Store } from '../../src/store/open-store.ts'
import { append, readText, select } from '../contract/account-mail-session.ts'
import {
  createTempDirectory,
  createTestClock,
  insertTestAccount,
  openTestStore,
  type TestClock,
} from '../support/store.ts'

const LARGE = Buffer.alloc(MAX_INLINE_BYTES + 1, 'x')

let directory: Awaited<ReturnType<typeof createTempDirectory>>
let clock: TestClock
let store: Store | undefined

beforeEach(async () => {
  directory = await createTempDirectory()
  clock = createTestClock()
})
afterEach(async () => {
  await store?.close()
  store = undefined
  await directory.remove()
})

async function openMail(accountId?: number) {
  store = await openTestStore(directory.path, clock)
  const id = accountId ?? (await insertTestAccount(store))
  const mail = createAccountMail({ store, accountId: id, accountName: 'a', maxMessageBytes: 2 ** 20 })
  return { store, mail, accountId: id }
}

async function closeStore(): Promise<void> {
  await store?.close()
  store = undefined
}

function databasePath(): string {
  return directoryLayout(directory.path).databasePath
}

describe('a data directory', () => {
  it('is made private and keeps everything over a restart: UIDVALIDITY, UIDs, MODSEQs, flags, sizes', async () => {
    const { mail, accountId } = await openMail()
    await append(mail, 'INBOX', { flags: ['\\Seen', 'Work'] })
    await append(mail, 'INBOX', { text: LARGE })
    const before = {
      status: await mail.status('INBOX'),
      opened: (await select(mail, 'INBOX')).mailbox.messages,
    }
    await closeStore()
    for (const path of [directory.path, databasePath()]) expect((await stat(path)).mode & 0o077).toBe(0)
    const again = await openMail(accountId)
    const { mailbox } = await select(again.mail, 'INBOX')
    expect(await again.mail.status('INBOX')).toEqual(before.status)
    expect(mailbox.messages).toEqual(before.opened)
    expect(await readText(mailbox, 2 as Uid)).toBe(LARGE.toString())
  })

  it('can be read by another connection while it is open', async () => {
    await openMail()
    const read = openStoreForReading(directory.path)
    expect(read.get('SELECT count(*) AS count FROM accounts')).toEqual({ count: 1 })
    expect(() => read.sql('DELETE FROM accounts').run()).toThrow(/readonly/)
    read.close()
  })
})

describe('a database of an older release', () => {
  it('is brought up to date and keeps UIDVALIDITY, UIDs, MODSEQs and flags', async () => {
    const database = new DatabaseSync(databasePath())
    database.exec(MAIL_TABLES)
    database.exec(`INSERT INTO schema_migrations VALUES (1, 'mail', 0);
      INSERT INTO accounts (id, address, short_name, display_name, key_id, servers, state, created_at_ms)
        VALUES (5, 'a@example.org', 'a', '', 'ab', '[]', 'active', 0);
      INSERT INTO mailboxes (id, account_id, name, selectable, uid_validity, uid_next, highest_modseq)
        VALUES (1, 5, 'INBOX', 1, 77, 9, 30);
      INSERT INTO blobs (id, account_id, size, reference_count) VALUES (x'00', 5, 3, 1);
      INSERT INTO messages VALUES (1, 8, 29, 8, 'Work', 0, 3, x'00');`)
    database.close()
    const { store: opened, mail } = await openMail(5)
    const version = opened.read.get('SELECT max(version) AS version FROM schema_migrations')
    expect(version).toEqual({ version: SCHEMA_VERSION })
    const { mailbox } = await select(mail, 'INBOX')
    expect(mailbox).toMatchObject({ uidValidity: 77, uidNext: 9, highestModSeq: 30 })
    expect(mailbox.messages).toEqual([{ uid: 8, modSeq: 29, flags: ['\\Seen', 'Work'] }])
  })
})

describe('a database that cannot be used', () => {
  it('whose header is overwritten is refused as damaged and left as it is', async () => {
    await openMail()
    await closeStore()
    const file = await open(databasePath(), 'r+')
    await file.write(randomBytes(100), 0, 100, 0)
    await file.close()
    const before = await readFile(databasePath())
    await expect(openTestStore(directory.path)).rejects.toBeInstanceOf(DamagedDatabaseError)
    await expect(openTestStore(directory.path)).rejects.toThrow(/backup/)
    expect(await readFile(databasePath())).toEqual(before)
  })

  it('with a damaged page in the middle is found at start', async () => {
    const { mail } = await openMail()
    for (let count = 0; count < 50; count += 1) await append(mail, 'INBOX')
    await closeStore()
    const { size } = await stat(databasePath())
    const file = await open(databasePath(), 'r+')
    for (let page = 4096; page < size; page += 4096) await file.write(randomBytes(64), 0, 64, page)
    await file.close()
    await expect(openTestStore(directory.path)).rejects.toBeInstanceOf(DamagedDatabaseError)
  })

  it('that is gone or empty while there are message files is damaged, never a new empty mailbox', async () => {
    const { mail } = await openMail()
    await append(mail, 'INBOX', { text: LARGE })
    await closeStore()
    await truncate(databasePath(), 0)
    await expect(openTestStore(directory.path)).rejects.toBeInstanceOf(DamagedDatabaseError)
    await rm(databasePath())
    await expect(openTestStore(directory.path)).rejects.toBeInstanceOf(DamagedDatabaseError)
  })

  it('of a newer release is refused in one line, data untouched', async () => {
    await openMail()
    await closeStore()
    const database = new DatabaseSync(databasePath())
    database
      .prepare('INSERT INTO schema_migrations (version, name, applied_at_ms) VALUES (?, ?, 0)')
      .run(SCHEMA_VERSION + 1, 'future')
    database.close()
    const before = await readFile(databasePath())
    const failure = await openTestStore(directory.path).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(NewerDatabaseError)
    expect((failure as Error).message).not.toContain('\n')
    expect(await readFile(databasePath())).toEqual(before)
  })

  it('that is no database at all is refused', async () => {
    await writeFile(databasePath(), 'this is a text\n'.repeat(500))
    await expect(openTestStore(directory.path)).rejects.toBeInstanceOf(DamagedDatabaseError)
  })
})

describe('the bytes of removed messages', () => {
  it('stay for the grace and go after it: rows and files', async () => {
    const { store: opened, mail, accountId } = await openMail()
    await append(mail, 'INBOX', { text: LARGE, flags: ['\\Deleted'] })
    await append(mail, 'INBOX', { flags: ['\\Deleted'] })
    const { mailbox } = await select(mail, 'INBOX')
    const file = opened.read.get<{ id: Uint8Array }>('SELECT id FROM blobs WHERE sealed_bytes IS NULL')
    const path = blobPath(directoryLayout(directory.path), file?.id ?? new Uint8Array())
    await mailbox.expunge(undefined)
    expect((await stat(path)).isFile()).toBe(true)
    expect(await readText(mailbox, 1 as Uid)).toBe(LARGE.toString())
    clock.advance(REMOVAL_GRACE_MS)
    await closeStore()
    // The next start looks for what an earlier run left; close waits for the sweep.
    await openMail(accountId)
    clock.advance(duration.minute)
    await closeStore()
    await expect(stat(path)).rejects.toThrow(/ENOENT/)
    const again = await openMail(accountId)
    expect(again.store.read.get('SELECT count(*) AS count FROM blobs')).toEqual({ count: 0 })
  })

  it('go at once from no copy that still refers to them', async () => {
    const { store: opened, mail } = await openMail()
    await append(mail, 'INBOX', { flags: ['\\Deleted'] })
    const { mailbox } = await select(mail, 'INBOX')
    await mailbox.copyTo([1 as Uid], 'Archive')
    await mailbox.expunge(undefined)
    const swept = await opened.write('sweepBlobs', { releasedBeforeMs: clock.now(), limit: 10 })
    expect(swept.sweptCount).toBe(0)
    expect(await readText((await select(mail, 'Archive')).mailbox, 1 as Uid)).toContain('body')
  })

  it('go with a refused APPEND', async () => {
    const { store: opened, mail } = await openMail()
    await mail.createMailbox('x')
    const sink = await mail.beginAppend('x', LARGE.length)
    if ('kind' in sink) throw new Error(sink.kind)
    await sink.write(LARGE)
    await mail.deleteMailbox('x')
    expect(await sink.commit({ flags: [], internalDate: null })).toEqual({ kind: 'no-such-mailbox' })
    expect(opened.read.get('SELECT count(*) AS count FROM blobs')).toEqual({ count: 0 })
    const layout = directoryLayout(directory.path)
    const entries = await readdir(layout.blobDirectory, { recursive: true, withFileTypes: true })
    expect(entries.filter((entry) => entry.isFile())).toEqual([])
  })
})

describe('the policy of the bridge on APPEND', () => {
  it('may answer in the place of the store, and bytes it did not use are removed', async () => {
    const { store: opened, accountId } = await openMail()
    const seen: string[] = []
    const mail = createAccountMail({
      store: opened,
      accountId,
      accountName: 'a',
      maxMessageBytes: 2 ** 20,
      policy: {
        async beforeAppend(append) {
          seen.push(`${append.mailboxName} ${append.index.envelope.messageId}`)
          return append.mailboxName === 'Sent' ? { kind: 'ok', uidValidity: 7, uid: 9 as Uid } : undefined
        },
      },
    })
    expect(await append(mail, 'Sent', { text: LARGE })).toEqual({ kind: 'ok', uidValidity: 7, uid: 9 })
    expect(await append(mail, 'INBOX')).toMatchObject({ kind: 'ok', uid: 1 })
    expect(seen).toEqual(['Sent null', 'INBOX <1@example.org>'])
    expect(await mail.status('Sent')).toMatchObject({ messages: 0 })
    expect(opened.read.get('SELECT count(*) AS count FROM blobs')).toEqual({ count: 1 })
  })
})

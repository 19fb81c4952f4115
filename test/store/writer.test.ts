import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { indexMessage } from '../../src/mail/index-message.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { directoryLayout } from '../../src/store/database-file.ts'
import { DiskFullError, StoreClosedError, WriteFailedError } from '../../src/store/errors.ts'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import type { PublishedChange } from '../../src/store/operation.ts'
import { Writer } from '../../src/store/writer.ts'
import { createTempDirectory, createTestClock, insertTestAccount, openTestStore } from '../support/store.ts'
import type { operations } from './probe-operations.ts'

type ProbeOperations = typeof operations
type AppendArgs = Parameters<ProbeOperations['appendMessage']>[1]

const TEXT = Buffer.from('Subject: x\r\n\r\nbody\r\n')

let directory: Awaited<ReturnType<typeof createTempDirectory>>
/** Only to make the database, to spool and to read. */
let store: Store
let writer: Writer<ProbeOperations>
let accountId: AccountId
let published: PublishedChange[]
let failures: Error[]

beforeEach(async () => {
  directory = await createTempDirectory()
  store = await openTestStore(directory.path)
  accountId = await insertTestAccount(store)
  published = []
  failures = []
  writer = await Writer.start<ProbeOperations>({
    databasePath: directoryLayout(directory.path).databasePath,
    operationsUrl: new URL('./probe-operations.ts', import.meta.url),
    clock: createTestClock(),
    randomBytes,
    publish: (changes) => published.push(...changes),
    onFailure: (error) => failures.push(error),
  })
})
afterEach(async () => {
  await writer.close()
  await store.close()
  await directory.remove()
})

async function appendArgs(mailboxName = 'INBOX'): Promise<AppendArgs> {
  const spool = await store.beginSpool(accountId)
  await spool.write(TEXT)
  const spooled = await spool.finish()
  const message = store.draftMessage(spooled, await indexMessage(spooled.read()))
  return { accountId, mailboxName, message, flags: [], internalDateMs: null }
}

function status() {
  return createAccountMail({ store, accountId, accountName: 'a', maxMessageBytes: 1000 }).status('INBOX')
}

describe('an operation that fails', () => {
  it('undoes itself alone: its neighbours in the group stay, no UID is burned, nothing is announced', async () => {
    const args = await appendArgs()
    const settled = await Promise.allSettled([
      writer.write('appendMessage', await appendArgs()),
      writer.write('insertAndThrow', args),
      writer.write('appendMessage', await appendArgs()),
    ])
    expect(settled).toMatchObject([
      { status: 'fulfilled', value: { uid: 1 } },
      { status: 'rejected', reason: expect.any(WriteFailedError) },
      { status: 'fulfilled', value: { uid: 2 } },
    ])
    expect(await status()).toMatchObject({ messages: 2, uidNext: 3 })
    expect(published.map(({ change }) => change)).toMatchObject([
      { message: { uid: 1 } },
      { message: { uid: 2 } },
    ])
    expect(store.read.get('SELECT 1 FROM blobs WHERE id = ?', args.message.blob.id)).toBeUndefined()
    expect(store.read.get("SELECT 1 FROM mailbox_keywords WHERE keyword = 'Half'")).toBeUndefined()
  })

  it('keeps the message and the stack of the writer thread as cause', async () => {
    const failure = await writer.write('insertAndThrow', await appendArgs()).catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'WriteFailedError', message: 'on purpose' })
    expect((failure as Error).cause).toMatchObject({ stack: expect.stringContaining('probe-operations') })
  })

  it('that loses the whole transaction fails alone, the others are run again', async () => {
    const settled = await Promise.allSettled([
      writer.write('appendMessage', await appendArgs()),
      writer.write('loseTransaction', undefined as never),
      writer.write('appendMessage', await appendArgs()),
    ])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await status()).toMatchObject({ messages: 2, uidNext: 3 })
  })

  it('only at COMMIT fails alone too', async () => {
    const settled = await Promise.allSettled([
      writer.write('appendMessage', await appendArgs()),
      writer.write('breakAtCommit', undefined as never),
      writer.write('appendMessage', await appendArgs()),
    ])
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await status()).toMatchObject({ messages: 2, uidNext: 3 })
  })

  it('for want of room is a DiskFullError, and everything else goes on', async () => {
    await writer.write('appendMessage', await appendArgs())
    await expect(writer.write('fillDisk', undefined as never)).rejects.toBeInstanceOf(DiskFullError)
    await writer.write('allowGrowth', undefined as never)
    expect(await writer.write('appendMessage', await appendArgs())).toMatchObject({ kind: 'ok', uid: 2 })
  })
})

describe('writes', () => {
  it('are committed and published in the order they were asked for', async () => {
    const args = await Promise.all(Array.from({ length: 300 }, () => appendArgs()))
    const outcomes = await Promise.all(args.map((one) => writer.write('appendMessage', one)))
    expect(outcomes.map((outcome) => outcome.kind === 'ok' && outcome.uid)).toEqual(
      Array.from({ length: 300 }, (_, index) => index + 1),
    )
    const uids = published.map(({ change }) => change.kind === 'added' && change.message.uid)
    expect(uids).toEqual(Array.from({ length: 300 }, (_, index) => index + 1))
  })

  it('are visible to readers, and published, when they are answered', async () => {
    const outcome = await writer.write('appendMessage', await appendArgs())
    expect(outcome).toMatchObject({ kind: 'ok' })
    expect(published).toHaveLength(1)
    expect(await status()).toMatchObject({ messages: 1 })
  })

  it('get ids of their own from the random bytes of the caller', async () => {
    const [first, second] = await Promise.all([
      writer.write('randomIds', undefined as never),
      writer.write('randomIds', undefined as never),
    ])
    const ids = [...first, ...second].map((id) => Buffer.from(id).toString('hex'))
    expect(new Set(ids).size).toBe(4)
    expect(ids.every((id) => id.length === 32)).toBe(true)
  })

  it('asked for before close are committed, later ones are refused', async () => {
    const before = writer.write('appendMessage', await appendArgs())
    const closing = writer.close()
    await expect(writer.write('appendMessage', await appendArgs())).rejects.toBeInstanceOf(StoreClosedError)
    expect(await before).toMatchObject({ kind: 'ok' })
    await closing
    expect(await status()).toMatchObject({ messages: 1 })
  })

  it('are rejected when the writer thread ends by itself', async () => {
    await expect(writer.write('exitThread', undefined as never)).rejects.toBeInstanceOf(StoreClosedError)
    await expect(writer.write('appendMessage', await appendArgs())).rejects.toBeInstanceOf(StoreClosedError)
    expect(failures).toHaveLength(1)
  })
})

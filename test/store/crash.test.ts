import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Uid } from '../../src/imap/port.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { MAX_INLINE_BYTES } from '../../src/store/blob-store.ts'
import { directoryLayout } from '../../src/store/database-file.ts'
import type { AccountId } from '../../src/store/ids.ts'
import { append, collect, readText, select } from '../contract/account-mail-session.ts'
import { createTempDirectory, insertTestAccount, openTestStore } from '../support/store.ts'

const CHILD = fileURLToPath(new URL('./crash-child.ts', import.meta.url))
const ROUNDS = 4
/** Acknowledgments read before the child is killed; another number each round, so that it dies elsewhere. */
const ACKNOWLEDGED_BEFORE_KILL = [7, 60, 133, 201]

type Acknowledgment =
  | { readonly kind: 'appended'; readonly uid: number; readonly sha256: string }
  | { readonly kind: 'moved'; readonly pairs: readonly { from: number; to: number }[] }

let directory: Awaited<ReturnType<typeof createTempDirectory>>

beforeEach(async () => {
  directory = await createTempDirectory()
})
afterEach(() => directory.remove())

/** Runs the child until it has acknowledged that much, then kills it with SIGKILL. */
async function runAndKill(accountId: AccountId, acknowledged: number): Promise<Acknowledgment[]> {
  const child = spawn(process.execPath, [CHILD, directory.path, String(accountId)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    output += chunk
    if (output.split('\n').length > acknowledged) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  // What the kill cut off was not acknowledged.
  const lines = output.split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Acknowledgment)
}

async function openMail(accountId: AccountId) {
  const store = await openTestStore(directory.path)
  return {
    store,
    mail: createAccountMail({ store, accountId, accountName: 'a', maxMessageBytes: 1024 * 1024 }),
  }
}

function sha256(text: string | undefined): string {
  return createHash('sha256')
    .update(Buffer.from(text ?? '', 'latin1'))
    .digest('hex')
}

async function blobFiles(): Promise<string[]> {
  const { blobDirectory } = directoryLayout(directory.path)
  const entries = await readdir(blobDirectory, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

describe('kill -9 while writing', () => {
  it('keeps everything acknowledged, once, with its bytes, and no half of anything', async () => {
    const first = await openTestStore(directory.path)
    const accountId = await insertTestAccount(first)
    await first.close()
    const appended = new Map<number, string>()
    const moved = new Map<number, number>()
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const line of await runAndKill(accountId, ACKNOWLEDGED_BEFORE_KILL[round] ?? 50)) {
        if (line.kind === 'appended') appended.set(line.uid, line.sha256)
        else for (const pair of line.pairs) moved.set(pair.from, pair.to)
      }
      const { store, mail } = await openMail(accountId)
      const inbox = (await select(mail, 'INBOX')).mailbox
      const archive = (await select(mail, 'Archive')).mailbox
      const present = new Set(inbox.messages.map((message) => message.uid))
      const archived = new Set(archive.messages.map((message) => message.uid))
      for (const [uid, digest] of appended) {
        const to = moved.get(uid)
        if (to !== undefined) {
          expect(present.has(uid as Uid)).toBe(false)
          expect(archived.has(to as Uid)).toBe(true)
          expect(sha256(await readText(archive, to as Uid))).toBe(digest)
        } else if (present.has(uid as Uid)) {
          expect(sha256(await readText(inbox, uid as Uid))).toBe(digest)
        }
      }
      // Never both, never neither: every UID ever given out is in INBOX or was moved.
      expect(present.size + archived.size).toBe(inbox.uidNext - 1)
      for (const mailbox of [inbox, archive]) {
        for (const record of await collect(mailbox.fetch(mailbox.messages.map(({ uid }) => uid)))) {
          expect((await readText(mailbox, record.uid))?.length).toBe(record.index.size)
        }
      }
      const files = store.read.all<{ id: string }>(
        'SELECT hex(id) AS id FROM blobs WHERE sealed_bytes IS NULL',
      )
      expect(new Set(await blobFiles())).toEqual(new Set(files.map(({ id }) => id.toLowerCase())))
      expect(await readdir(directoryLayout(directory.path).spoolDirectory)).toEqual([])
      await store.close()
    }
  })
})

describe('at start', () => {
  it('files that no row refers to are removed, also from the spool; other files are left alone', async () => {
    const { store, mail } = await openMail(await makeAccount())
    await append(mail, 'INBOX', { text: Buffer.alloc(MAX_INLINE_BYTES + 1, 'x') })
    const kept = await blobFiles()
    expect(kept).toHaveLength(1)
    await store.close()
    const { blobDirectory, spoolDirectory } = directoryLayout(directory.path)
    const folder = join(blobDirectory, kept[0]?.slice(0, 2) ?? '')
    await writeFile(join(folder, 'ab'.repeat(16)), 'orphan')
    await writeFile(join(folder, 'README'), 'not ours')
    await writeFile(join(spoolDirectory, 'half'), 'half')
    const again = await openTestStore(directory.path)
    expect(new Set(await blobFiles())).toEqual(new Set([...kept, 'README']))
    expect(await readdir(spoolDirectory)).toEqual([])
    await again.close()
  })
})

async function makeAccount(): Promise<AccountId> {
  const store = await openTestStore(directory.path)
  const accountId = await insertTestAccount(store)
  await store.close()
  return accountId
}

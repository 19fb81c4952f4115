import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { indexMessage } from '../../src/mail/index-message.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { MAX_INLINE_BYTES, requireDiskRoom } from '../../src/store/blob-store.ts'
import { directoryLayout } from '../../src/store/database-file.ts'
import { DiskFullError } from '../../src/store/errors.ts'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import type { SpooledMessage } from '../../src/store/spool.ts'
import { collect } from '../contract/account-mail-session.ts'
import { storePerTest } from '../support/store-per-test.ts'

let store: Store
let accountId: AccountId
let directory: string
storePerTest((fresh) => {
  ;({ store, accountId, directory } = fresh)
})

async function spool(bytes: Buffer, chunkBytes: number): Promise<SpooledMessage> {
  const sink = await store.beginSpool(accountId)
  const chunk = Buffer.alloc(chunkBytes)
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    // The same buffer again and again, as a socket would.
    const length = bytes.copy(chunk, 0, start)
    await sink.write(chunk.subarray(0, length))
  }
  return sink.finish()
}

async function files(): Promise<string[]> {
  const { blobDirectory, spoolDirectory } = directoryLayout(directory)
  const found = await Promise.all(
    [blobDirectory, spoolDirectory].map((path) => readdir(path, { recursive: true, withFileTypes: true })),
  )
  return found.flat().flatMap((entry) => (entry.isFile() ? [entry.name] : []))
}

describe('a spooled message', () => {
  it.each([0, 1, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, 1_000_000])(
    'of %d octets is given back whole and hashed, before and after it has a row',
    async (size) => {
      const bytes = Buffer.alloc(size, 'Subject: x\r\n\r\nabc\r\n')
      const spooled = await spool(bytes, 7001)
      expect(spooled.sizeBytes).toBe(size)
      expect(spooled.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
      expect(Buffer.concat(await collect(spooled.read())).equals(bytes)).toBe(true)
      expect(await files()).toHaveLength(size > MAX_INLINE_BYTES ? 1 : 0)
      const message = store.draftMessage(spooled, await indexMessage(spooled.read()))
      await store.write('appendMessage', {
        accountId,
        mailboxName: 'INBOX',
        message,
        flags: [],
        internalDateMs: null,
      })
      await spooled.discard()
      const stored = store.readBlob(spooled.blob.id)
      if (stored === undefined) throw new Error('no blob')
      expect(Buffer.concat(await collect(stored)).equals(bytes)).toBe(true)
    },
  )

  it('leaves nothing when it is discarded before or after finish', async () => {
    const large = Buffer.alloc(MAX_INLINE_BYTES * 2, 'x')
    const sink = await store.beginSpool(accountId)
    await sink.write(large)
    await sink.discard()
    await (await spool(large, 10_000)).discard()
    expect(await files()).toEqual([])
  })

  it('is refused with DiskFullError when the disk has no room, told before the first octet', async () => {
    await expect(requireDiskRoom(directory, 2 ** 52)).rejects.toBeInstanceOf(DiskFullError)
    await expect(store.beginSpool(accountId, 2 ** 52)).rejects.toBeInstanceOf(DiskFullError)
    const mail = createAccountMail({ store, accountId, accountName: 'a', maxMessageBytes: 2 ** 53 })
    expect(await mail.beginAppend('INBOX', 2 ** 52)).toMatchObject({ kind: 'limit' })
  })
})

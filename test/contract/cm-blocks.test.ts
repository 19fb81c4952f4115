import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { DEFAULT_MAX_AGES } from '../../src/cm/block-verdict.ts'
import type { BlockKey } from '../../src/cm/ids.ts'
import {
  BLOCK_TYPES,
  type BlockRecord,
  type BlockType,
  type BlockUpload,
  type CmBlocks,
  MAX_SLOT_RECORDS,
  type StoreOutcome,
} from '../../src/cm/server/port.ts'
import { blockStores } from '../support/cm-block-stores.ts'
import { MemoryCmBlocks } from '../support/memory-cm-blocks.ts'
import { collect } from './account-mail-session.ts'

const KEY = '0123456789abcdef0123456789abcdef01234567' as BlockKey
const OTHER_KEY = 'ffffffffffffffffffffffffffffffffffffffff' as BlockKey
const START_MS = Date.UTC(2026, 10, 25)

const stores = blockStores(START_MS)
const openStore = stores.open

async function* nothing(): AsyncGenerator<never> {}

/** A block of one record. */
function single(type: BlockType, key: BlockKey, text: string, dateMs = START_MS): BlockUpload {
  return { type, key, records: [{ identity: key, dateMs, text }] }
}

function announcement(number: number, text: string, dateMs = START_MS): BlockRecord {
  return { identity: number.toString(16).padStart(40, '0'), dateMs, text }
}

function mailbox(...records: readonly BlockRecord[]): BlockUpload {
  return { type: 'message-announcement', key: KEY, records }
}

async function textsOf(blocks: CmBlocks, key: BlockKey, type?: BlockType): Promise<string[]> {
  return collect((await blocks.find(key, type && { type }))?.records() ?? nothing())
}

async function payloadOf(blocks: CmBlocks, key: BlockKey): Promise<string> {
  const chunks = await collect((await blocks.find(key))?.payload() ?? nothing())
  return Buffer.concat(chunks).toString('latin1')
}

function keyOf(payload: string): BlockKey {
  return createHash('sha1').update(payload).digest('hex') as BlockKey
}

async function storeFile(blocks: CmBlocks, payload: string, dateMs = START_MS): Promise<StoreOutcome> {
  const sink = await blocks.beginPayload()
  for (const piece of payload.match(/.{1,3}/gs) ?? []) await sink.write(Buffer.from(piece, 'latin1'))
  return sink.commit(single('data', keyOf(payload), `Data: ${payload.length}\n`, dateMs))
}

async function storeSmall(blocks: CmBlocks, payload: string, dateMs = START_MS): Promise<StoreOutcome> {
  const upload = single('data', keyOf(payload), `Data: ${payload.length}\n`, dateMs)
  return blocks.store({ ...upload, payload: Buffer.from(payload, 'latin1') })
}

describe.each([
  ['SQLite', async () => (await openStore()) as CmBlocks],
  ['memory', async () => new MemoryCmBlocks((type) => stores.nowMs - DEFAULT_MAX_AGES[type]) as CmBlocks],
])('CmBlocks on %s', (_, create) => {
  it('gives back what was stored, by type and key', async () => {
    const blocks = await create()
    expect(await blocks.find(KEY)).toBeUndefined()
    const outcome = await blocks.store(single('acknowledgment', KEY, 'Hash: ü\n'))
    expect(outcome).toEqual({ kind: 'stored', added: ['Hash: ü\n'] })
    expect(await blocks.find(KEY)).toMatchObject({ type: 'acknowledgment', payloadBytes: 0 })
    expect(await textsOf(blocks, KEY)).toEqual(['Hash: ü\n'])
    expect(await blocks.find(KEY, { type: 'data' })).toBeUndefined()
    expect(await blocks.find(OTHER_KEY)).toBeUndefined()
  })

  it('lets a newer record take the place of an older one, and no other', async () => {
    const blocks = await create()
    await blocks.store(single('key-announcement', KEY, 'first\n', START_MS))
    const store = (text: string, dateMs: number) =>
      blocks.store(single('key-announcement', KEY, text, dateMs))
    expect(await store('older\n', START_MS - 1000)).toEqual({ kind: 'unchanged' })
    expect(await store('as old\n', START_MS)).toEqual({ kind: 'unchanged' })
    expect(await textsOf(blocks, KEY)).toEqual(['first\n'])
    expect((await store('newer\n', START_MS + 1000)).kind).toBe('stored')
    expect(await textsOf(blocks, KEY)).toEqual(['newer\n'])
  })

  it('keeps the records of a mailbox by identity and gives them by date, then identity', async () => {
    const blocks = await create()
    await blocks.store(mailbox(announcement(2, 'two\n'), announcement(3, 'late\n', START_MS + 1000)))
    const outcome = await blocks.store(
      mailbox(
        announcement(1, 'one\n'),
        announcement(2, 'again\n'),
        announcement(3, 'later\n', START_MS + 2000),
      ),
    )
    expect(outcome).toEqual({ kind: 'stored', added: ['one\n', 'later\n'] })
    expect(await textsOf(blocks, KEY)).toEqual(['one\n', 'two\n', 'later\n'])
  })

  it('takes the newest of the records an upload repeats', async () => {
    const blocks = await create()
    const repeated = [1000, 3000, 2000].map((ms) => announcement(1, `${ms}\n`, START_MS + ms))
    expect(await blocks.store(mailbox(...repeated))).toEqual({ kind: 'stored', added: ['3000\n'] })
    expect(await textsOf(blocks, KEY)).toEqual(['3000\n'])
  })

  it('loses no upload of many at the same time', async () => {
    const blocks = await create()
    const numbers = Array.from({ length: 300 }, (__, index) => index)
    await Promise.all(numbers.map((number) => blocks.store(mailbox(announcement(number, `${number}\n`)))))
    expect(await textsOf(blocks, KEY)).toHaveLength(300)
  })

  it('gives the records of a mailbox since a date', async () => {
    const blocks = await create()
    await blocks.store(mailbox(announcement(1, 'old\n', START_MS - 1000), announcement(2, 'new\n')))
    const since = async (sinceMs: number) =>
      collect((await blocks.find(KEY, { sinceMs }))?.records() ?? nothing())
    expect(await since(START_MS)).toEqual(['new\n'])
    expect(await since(START_MS - 1000)).toEqual(['old\n', 'new\n'])
    expect(await since(START_MS + 1)).toEqual([])
    await blocks.store(single('acknowledgment', OTHER_KEY, 'ack\n', START_MS - 1000))
    expect(await blocks.find(OTHER_KEY, { sinceMs: START_MS })).toBeDefined()
  })

  it('keeps types of one key apart and prefers the signed ones', async () => {
    const blocks = await create()
    for (const type of BLOCK_TYPES.filter((each) => each !== 'data').toReversed()) {
      await blocks.store(single(type, KEY, `${type}\n`))
      expect((await blocks.find(KEY))?.type).toBe(type)
    }
    expect(await textsOf(blocks, KEY, 'acknowledgment')).toEqual(['acknowledgment\n'])
  })

  it('finds nothing where the first type that answers may not be read', async () => {
    const blocks = await create()
    await blocks.store(mailbox(announcement(1, 'mail\n'), announcement(2, 'mail\n')))
    await blocks.store(single('acknowledgment', KEY, 'acknowledgment\n'))
    const foundBy = async (mayRead: (type: BlockType, anyRecord: () => string) => boolean) =>
      (await blocks.find(KEY, { mayRead }))?.type
    expect(await foundBy((_, anyRecord) => anyRecord() === 'mail\n')).toBe('message-announcement')
    expect(await foundBy((type) => type !== 'message-announcement')).toBeUndefined()
  })

  it('refuses what a full mailbox has no room for, as a whole, and keeps what it has', async () => {
    const blocks = await create()
    const many = Array.from({ length: MAX_SLOT_RECORDS }, (__, index) => announcement(index, '.\n'))
    expect((await blocks.store(mailbox(...many))).kind).toBe('stored')
    const upload = mailbox(
      announcement(1, 'newer\n', START_MS + 1000),
      announcement(MAX_SLOT_RECORDS, 'one more\n'),
    )
    expect(await blocks.store(upload)).toEqual({ kind: 'full' })
    expect((await textsOf(blocks, KEY)).filter((text) => text !== '.\n')).toEqual([])
    expect((await blocks.store(mailbox(announcement(1, 'newer\n', START_MS + 1000)))).kind).toBe('stored')
  })

  it('gives nothing that is older than its type may be', async () => {
    const blocks = await create()
    await blocks.store(mailbox(announcement(1, 'old\n'), announcement(2, 'new\n', START_MS + duration.day)))
    await blocks.store(single('key-announcement', OTHER_KEY, 'key\n'))
    stores.nowMs = START_MS + 10 * duration.day
    expect(await textsOf(blocks, KEY)).toEqual(['old\n', 'new\n'])
    stores.nowMs += 1000
    expect(await textsOf(blocks, KEY)).toEqual(['new\n'])
    stores.nowMs += duration.day
    expect(await blocks.find(KEY)).toBeUndefined()
    expect(await textsOf(blocks, OTHER_KEY)).toEqual(['key\n'])
  })

  it('shows a payload in a file only after its commit', async () => {
    const blocks = await create()
    const sink = await blocks.beginPayload()
    await sink.write(Buffer.from('hello'))
    expect(await blocks.find(KEY)).toBeUndefined()
    expect(readFileSync(sink.path, 'utf8')).toBe('hello')
    await sink.commit(single('data', KEY, 'Type: data\nData: 5\n'))
    expect(await blocks.find(KEY)).toMatchObject({ type: 'data', payloadBytes: 5 })
    expect(await textsOf(blocks, KEY)).toEqual(['Type: data\nData: 5\n'])
    expect(await payloadOf(blocks, KEY)).toBe('hello')
  })

  it('gives back small payloads and large ones, whichever came last', async () => {
    const blocks = await create()
    for (const [number, store] of [storeSmall, storeFile, storeSmall].entries()) {
      expect((await store(blocks, 'hello', START_MS + number * 1000)).kind).toBe('stored')
      expect(await payloadOf(blocks, keyOf('hello'))).toBe('hello')
      expect((await blocks.find(keyOf('hello')))?.payloadBytes).toBe(5)
    }
  })

  it('drops a payload that is not needed or was discarded', async () => {
    const blocks = await create()
    const discarded = await blocks.beginPayload()
    await discarded.discard()
    await storeFile(blocks, 'hello')
    const late = await blocks.beginPayload()
    await late.write(Buffer.from('hello'))
    expect(await late.commit(single('data', keyOf('hello'), 'older\n', START_MS - 1))).toEqual({
      kind: 'unchanged',
    })
    expect([existsSync(discarded.path), existsSync(late.path)]).toEqual([false, false])
  })
})

describe('CmBlockStore', () => {
  const files = () => readdirSync(join(stores.directory(), 'payloads'))

  it('keeps everything over a restart and sweeps files no row names', async () => {
    const first = await openStore()
    await storeFile(first, 'hello')
    await storeSmall(first, 'small')
    await first.store(single('acknowledgment', KEY, 'Hash: x\n'))
    await (await first.beginPayload()).write(Buffer.from('never committed'))
    await stores.close(first)
    writeFileSync(join(stores.directory(), 'payloads', 'stray'), 'x')
    const second = await openStore()
    expect(await payloadOf(second, keyOf('hello'))).toBe('hello')
    expect(await payloadOf(second, keyOf('small'))).toBe('small')
    expect(await textsOf(second, KEY)).toEqual(['Hash: x\n'])
    expect(files()).toHaveLength(1)
  })

  it('leaves one file when a payload is replaced, and a reader of the old one is not disturbed', async () => {
    const store = await openStore()
    await storeFile(store, 'hello')
    const reading = (await store.find(keyOf('hello')))?.payload() ?? []
    const replacing = storeFile(store, 'hello', START_MS + 1000)
    let text = ''
    for await (const chunk of reading) text += Buffer.from(chunk).toString()
    await replacing
    expect(text).toBe('hello')
    expect(files()).toHaveLength(1)
    await storeSmall(store, 'hello', START_MS + 2000)
    expect(files()).toEqual([])
  })

  it('prunes each record at the age of its type, with its file', async () => {
    const store = await openStore()
    await storeFile(store, 'hello')
    await store.store(mailbox(announcement(1, 'old\n'), announcement(2, 'new\n', START_MS + duration.day)))
    await store.store(single('key-announcement', OTHER_KEY, 'key\n'))
    stores.nowMs = START_MS + 10 * duration.day
    expect(await store.prune()).toBe(0)
    stores.nowMs += 1000
    expect(await store.prune()).toBe(2)
    expect(files()).toEqual([])
    stores.nowMs = START_MS
    expect(await store.find(keyOf('hello'))).toBeUndefined()
    expect(await textsOf(store, KEY)).toEqual(['new\n'])
    expect((await store.find(OTHER_KEY))?.type).toBe('key-announcement')
  })

  it('makes room in a full mailbox by what has expired in it', async () => {
    const store = await openStore()
    const old = Array.from({ length: MAX_SLOT_RECORDS }, (__, index) => announcement(index, '.\n'))
    await store.store(mailbox(...old))
    stores.nowMs += 10 * duration.day + 1000
    const upload = mailbox(announcement(MAX_SLOT_RECORDS, 'one more\n', stores.nowMs))
    expect((await store.store(upload)).kind).toBe('stored')
    stores.nowMs = START_MS
    expect(await textsOf(store, KEY)).toEqual(['one more\n'])
  })

  it('keeps a record that replaces one that expires to make room for it', async () => {
    const store = await openStore()
    const old = Array.from({ length: MAX_SLOT_RECORDS }, (__, index) => announcement(index, '.\n'))
    await store.store(mailbox(...old))
    stores.nowMs += 10 * duration.day + 1000
    const again = announcement(5, 'again\n', stores.nowMs)
    const upload = mailbox(again, announcement(MAX_SLOT_RECORDS, 'one more\n', stores.nowMs))
    expect(await store.store(upload)).toEqual({ kind: 'stored', added: ['again\n', 'one more\n'] })
    expect(await textsOf(store, KEY)).toEqual(['again\n', 'one more\n'])
  })

  it('finds a block, refuses a reader, and refuses a block for a full mailbox, in no time', async () => {
    const store = await openStore()
    const many = Array.from({ length: MAX_SLOT_RECORDS }, (__, index) => announcement(index, '.\n'))
    for (const key of [KEY, '1'.repeat(40) as BlockKey, '2'.repeat(40) as BlockKey]) {
      await store.store({ ...mailbox(...many), key })
    }
    const startedMs = performance.now()
    for (let times = 0; times < 100; times += 1) {
      expect(await store.find(OTHER_KEY)).toBeUndefined()
      expect(await store.find(KEY, { mayRead: () => false })).toBeUndefined()
      expect((await store.store(mailbox(announcement(MAX_SLOT_RECORDS + times, '.\n')))).kind).toBe('full')
    }
    // Going through all records would take ten seconds.
    expect(performance.now() - startedMs).toBeLessThan(2500)
  })

  it('takes payload files without a database for damage, not for a new start', async () => {
    const store = await openStore()
    await storeFile(store, 'hello')
    await stores.close(store)
    rmSync(join(stores.directory(), 'blocks.db'))
    await expect(openStore()).rejects.toThrow('damaged')
    writeFileSync(
      join(stores.directory(), 'blocks.db'),
      'this is no database at all, but long enough to be read as one',
    )
    await expect(openStore()).rejects.toThrow('damaged')
  })
})

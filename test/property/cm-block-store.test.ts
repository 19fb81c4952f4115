import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BlockKey } from '../../src/cm/ids.ts'
import type { BlockRecord, CmBlocks } from '../../src/cm/server/port.ts'
import { blockStores } from '../support/cm-block-stores.ts'
import { MemoryCmBlocks } from '../support/memory-cm-blocks.ts'

const NOW_MS = Date.UTC(2026, 10, 25)
const stores = blockStores(NOW_MS)

/** Records of few identities and dates, so that they meet; the same identity and date is the same record. */
const record = fc
  .record({ identity: fc.integer({ min: 0, max: 5 }), second: fc.integer({ min: 0, max: 4 }) })
  .map(({ identity, second }) => ({
    identity: String(identity).repeat(40),
    dateMs: NOW_MS - second * 1000,
    text: `${identity} ${second}\n`,
  }))
const uploads = fc.array(fc.array(record, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 })

async function textsOf(blocks: CmBlocks, key: BlockKey): Promise<string[]> {
  const texts: string[] = []
  for await (const text of (await blocks.find(key))?.records() ?? []) texts.push(text)
  return texts
}

/** What must be there in the end: the newest record of each identity, by date, then identity. */
function newest(records: readonly BlockRecord[]): string[] {
  const kept = new Map<string, BlockRecord>()
  for (const each of records) {
    if (each.dateMs > (kept.get(each.identity)?.dateMs ?? 0)) kept.set(each.identity, each)
  }
  return [...kept.values()]
    .sort((a, b) => a.dateMs - b.dateMs || (a.identity < b.identity ? -1 : 1))
    .map(({ text }) => text)
}

describe.each([
  ['SQLite', async () => (await stores.open()) as CmBlocks],
  ['memory', async () => new MemoryCmBlocks() as CmBlocks],
])('a mailbox on %s', (_, create) => {
  it('holds the newest of every record, in whatever order and however often they come', async () => {
    const blocks = await create()
    let run = 0
    const nextKey = () => {
      run += 1
      return run.toString(16).padStart(40, '0') as BlockKey
    }
    const storeAll = (key: BlockKey, batches: readonly (readonly BlockRecord[])[]) =>
      Promise.all(batches.map((records) => blocks.store({ type: 'message-announcement', key, records })))
    await fc.assert(
      fc.asyncProperty(uploads, fc.infiniteStream(fc.nat()), async (batches, order) => {
        const expected = newest(batches.flat())
        const key = nextKey()
        await storeAll(key, batches)
        expect(await textsOf(blocks, key)).toEqual(expected)
        // Again changes nothing.
        const again = await storeAll(key, batches)
        expect(again.map(({ kind }) => kind)).toEqual(batches.map(() => 'unchanged'))
        const rest = [...batches]
        const shuffled = nextKey()
        while (rest.length > 0) await storeAll(shuffled, rest.splice(order.next().value % rest.length, 1))
        expect(await textsOf(blocks, shuffled)).toEqual(expected)
        // One upload with everything is the same as many.
        const whole = nextKey()
        await storeAll(whole, [batches.flat()])
        expect(await textsOf(blocks, whole)).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })
})

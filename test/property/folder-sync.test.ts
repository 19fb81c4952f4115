import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseFolderSyncLog } from '../../src/cm/message/folder-sync.ts'
import { type PickleValue, readSyncPickle } from '../../src/cm/message/sync-pickle.ts'
import { CALLING_RECORD, framed, MESSAGE_TUPLE, pickled, SYNC_LOG } from '../support/sync-pickles.ts'

/** Whatever stands in a folder-sync message, reading it makes plain data or nothing (CM message 7.3, 14.2). */

const PICKLES = [SYNC_LOG, MESSAGE_TUPLE, CALLING_RECORD].map((text) => Buffer.from(text, 'hex'))

/** A real pickle with some octets changed, left out or put in. */
const spoiled = fc
  .tuple(
    fc.constantFrom(...PICKLES),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.constantFrom(...Buffer.from('\x80(.NUTX]aetqrhjcR\x00\xff', 'latin1')),
        fc.nat(2),
      ),
      {
        maxLength: 4,
      },
    ),
  )
  .map(([pickle, changes]) => {
    let bytes = pickle
    for (const [at, octet, removed] of changes) {
      const position = at % (bytes.length + 1)
      bytes = Buffer.concat([
        bytes.subarray(0, position),
        Buffer.from([octet]),
        bytes.subarray(position + removed),
      ])
    }
    return bytes
  })

const plain: fc.Arbitrary<string | Uint8Array | null> = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.uint8Array({ maxLength: 400 }),
  fc.constant(null),
)

function toPlain(value: PickleValue): unknown {
  switch (value.kind) {
    case 'none':
      return null
    case 'text':
      return value.text
    case 'bytes':
      return Buffer.from(value.bytes).toString('hex')
    case 'list':
      return value.items.map(toPlain)
  }
}

describe('folder-sync pickles', () => {
  it('of lists of strings are read as they were written', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(plain, fc.array(plain))), (list) => {
        const read = readSyncPickle(pickled(list))
        const expected = JSON.parse(
          JSON.stringify(list, (_, item) =>
            item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item,
          ),
        )
        expect(read === undefined ? undefined : toPlain(read)).toEqual(expected)
      }),
    )
  })

  it('that were spoiled, and octets of any kind, are data or nothing', () => {
    fc.assert(
      fc.property(fc.oneof(spoiled, fc.uint8Array({ maxLength: 300 })), (bytes) => {
        const read = readSyncPickle(bytes)
        if (read !== undefined)
          expect(JSON.stringify(toPlain(read)).length).toBeLessThan(bytes.length * 20 + 20)
        const log = parseFolderSyncLog(Buffer.concat([framed(bytes), bytes]))
        expect(log.records.length + log.ignoredCount).toBeLessThanOrEqual(bytes.length / 4 + 1)
      }),
      { numRuns: 2000 },
    )
  })
})

import { describe, expect, it } from 'vitest'
import { parseFolderSyncLog } from '../../../../src/cm/message/folder-sync.ts'
import { readSyncPickle } from '../../../../src/cm/message/sync-pickle.ts'
import {
  CALLING_RECORD,
  COLOUR_RECORD,
  framed,
  MESSAGE_TUPLE,
  pickled,
  SYNC_LOG,
  SYNC_LOG_C,
} from '../../../support/sync-pickles.ts'

const A = 'aa'.repeat(20)
const hex = (text: string) => Buffer.from(text, 'hex')

const RECORDS = [
  { name: 'AddMsg', path: ['Deleted'], id: A },
  { name: 'DelMsg', path: ['Inbox'], id: A },
  { name: 'DelMsg', path: ['New Messages'], id: A },
  { name: 'AddCat', path: ['Reisen', 'Köln'] },
  { name: 'AddMsg', path: ['Archive'], id: 'bb'.repeat(20) },
  { name: 'RenCat', from: ['a'], to: ['b'] },
  { name: 'SendMsg', id: A },
  {
    name: 'SyncBypassToken',
    keyId: 'c38830c357ef0aea6992fb756a7e1664812ebed4',
    secret: '20c7a31a1bca68d41efef73fdda263f46dac89a2',
    created: '2026-11-25T09:38:52Z',
    expires: 'never',
  },
]

describe('a log of the reference', () => {
  it.each([
    ['pickle', SYNC_LOG],
    ['cPickle', SYNC_LOG_C],
  ])('written by %s is read in its order', (_, log) => {
    expect(parseFolderSyncLog(hex(log))).toEqual({ records: RECORDS, ignoredCount: 0, isCut: false })
  })

  it.each([
    ['that names a class', COLOUR_RECORD],
    ['that calls a function', CALLING_RECORD],
  ])('leaves out a record %s and goes on behind it', (_, record) => {
    const log = Buffer.concat([framed(hex(record)), hex(SYNC_LOG)])
    expect(parseFolderSyncLog(log)).toEqual({ records: RECORDS, ignoredCount: 1, isCut: false })
  })

  it('that was cut off is read up to there', () => {
    const log = hex(SYNC_LOG)
    for (let length = 0; length < log.length; length += 1) {
      const { records, ignoredCount, isCut } = parseFolderSyncLog(log.subarray(0, length))
      expect(records).toEqual(RECORDS.slice(0, records.length))
      expect(ignoredCount).toBe(0)
      expect(isCut).toBe(length !== 0 && !isRecordEnd(log, length))
    }
  })
})

describe('records that are not the reference’s', () => {
  const id = hex(A)
  it.each([
    ['an id of another length', ['AddMsg', Buffer.from('Inbox'), Buffer.alloc(19)]],
    ['an id in hex', ['AddMsg', Buffer.from('Inbox'), A]],
    ['a folder without a name', ['AddMsg', Buffer.alloc(0), id]],
    ['a part too many', ['AddMsg', Buffer.from('Inbox'), id, id]],
    ['a part too few', ['DelMsg', Buffer.from('Inbox')]],
    ['an unknown name', ['DropMsg', Buffer.from('Inbox'), id]],
    ['a list for a name', [['AddMsg'], Buffer.from('Inbox'), id]],
    ['a byte string that is not ASCII', ['AddMsg', Buffer.from('Köln'), id]],
    ['a token of another form', ['SyncBypassToken', `${A},${A},yesterday,never`]],
    ['a token with an impossible date', ['SyncBypassToken', `${A},${A},2026-02-30T00:00:00Z,never`]],
    ['nothing', []],
  ])('%s', (_, record) => {
    const log = framed(pickled(record))
    expect(parseFolderSyncLog(log)).toEqual({ records: [], ignoredCount: 1, isCut: false })
  })

  it('a record longer than any is left out', () => {
    const log = framed(pickled(['AddCat', 'x'.repeat(5000)]))
    expect(parseFolderSyncLog(log).ignoredCount).toBe(1)
  })
})

describe('readSyncPickle', () => {
  it('reads a message tuple', () => {
    const tuple = readSyncPickle(hex(MESSAGE_TUPLE))
    expect(tuple).toMatchObject({ kind: 'list', items: { length: 10 } })
    if (tuple?.kind !== 'list') return
    expect(tuple.items[3]).toEqual({ kind: 'none' })
    expect(tuple.items[5]).toEqual({ kind: 'text', text: 'Grüße' })
  })

  it.each([
    ['', 'nothing'],
    ['80022e', 'no value'],
    ['80025d2e00', 'octets behind the end'],
    ['80035d2e', 'another protocol'],
    ['5d2e', 'no protocol'],
    ['80025d5d2e', 'two values'],
    ['8002285d2e', 'an open mark'],
    ['80025d65', 'items without a mark'],
    ['8002652e', 'items of no list'],
    ['80024e4e612e', 'an item of no list'],
    ['800255054142432e', 'a string longer than the pickle'],
    ['800254ffffffff41422e', 'a string of negative length'],
    ['80025801000000ff2e', 'text that is not UTF-8'],
    ['800268002e', 'a value that was never put'],
    ['80025d710068002e', 'a list in itself'],
    ['80025d7100680061682e', 'a list in a list by reference'],
    ['8002635f5f6d61696e5f5f0a430a2e', 'a class'],
    ['80025d5d5d5d5d6161616161612e', 'lists too deep'],
    ['80024b012e', 'a number'],
    ['8002882e', 'true'],
  ])('refuses %s: %s', (pickle) => {
    expect(readSyncPickle(hex(pickle))).toBeUndefined()
  })

  it('makes no more values than a message can have', () => {
    const many = Buffer.concat([hex('80025d28'), Buffer.alloc(1_000_000, 'N'), hex('652e')])
    expect(readSyncPickle(many)).toBeUndefined()
  })
})

function isRecordEnd(log: Buffer, length: number): boolean {
  let position = 0
  while (position < length) position += 4 + log.readUInt32LE(position)
  return position === length
}

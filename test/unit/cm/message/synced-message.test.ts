import { describe, expect, it } from 'vitest'
import { parseSyncedMessage } from '../../../../src/cm/message/synced-message.ts'
import { MESSAGE_TUPLE, pickled, SYNC_LOG } from '../../../support/sync-pickles.ts'

const BOB = 'c3'.repeat(20)

describe('a message another client sent', () => {
  it('is read from the tuple of the reference', () => {
    expect(parseSyncedMessage(Buffer.from(MESSAGE_TUPLE, 'hex'), undefined)).toEqual({
      recipients: [{ type: 'to', keyId: BOB, text: 'Bob Example <bob@example.net>' }],
      subject: 'Grüße',
      bodyText: 'Hello\n',
      bodyHtml: `<html>${'x'.repeat(300)}</html>`,
      bodyXml: '<xml/>',
      attachmentNames: ['x.pdf'],
      savedMs: Date.UTC(2026, 10, 25, 9, 38, 52),
      header: undefined,
    })
  })

  it('has all kinds of recipients, and names of files from any system', () => {
    const shown = [
      `T:${BOB}`,
      `c:Carol ${'d4'.repeat(20)}`,
      `B:Dan ${'e5'.repeat(20)}`,
      'X:nobody',
      `T:Eve ${'f6'.repeat(19)}`,
    ]
    const files = ['C:\\Users\\a\\report.pdf', '/tmp/x/', 'plain.txt']
    const tuple = pickled([[], shown, files, null, null, 'x', null, null, null, 'yesterday'])
    expect(parseSyncedMessage(tuple, Buffer.from('no header'))).toMatchObject({
      recipients: [
        { type: 'to', keyId: BOB, text: '' },
        { type: 'cc', text: 'Carol' },
        { type: 'bcc', text: 'Dan' },
      ],
      attachmentNames: ['report.pdf', 'plain.txt'],
      bodyText: undefined,
      savedMs: undefined,
      header: undefined,
    })
  })

  it.each([
    ['a record', Buffer.from(SYNC_LOG, 'hex').subarray(4, 0x39)],
    ['nine parts', pickled([[], [], [], null, null, '', '', null, null])],
    ['no lists', pickled(['', '', '', null, null, '', '', null, null, ''])],
    ['nothing', Buffer.alloc(0)],
  ])('is not %s', (_, pickle) => {
    expect(parseSyncedMessage(pickle, undefined)).toBeUndefined()
  })
})

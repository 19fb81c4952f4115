import { describe, expect, it } from 'vitest'
import { encodeResponse } from '../../../src/imap/encoder.ts'
import type { Uid } from '../../../src/imap/port.ts'
import type { Response } from '../../../src/imap/response.ts'
import { formatUidSet, normalizeSet } from '../../../src/imap/sequence-set.ts'
import { indexMessage } from '../../../src/mail/index-message.ts'
import { parseServerOutput } from '../../support/imap-response-grammar.ts'

function wire(response: Response): string {
  const pieces = encodeResponse(response).map((piece) => {
    if (typeof piece === 'string') return piece
    return piece instanceof Uint8Array ? Buffer.from(piece).toString('latin1') : `<${piece.size} streamed>`
  })
  return pieces.join('')
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text, 'latin1')
}

describe('encoder', () => {
  it.each([
    [
      { kind: 'LIST', attributes: [], mailboxName: 'Entwürfe & mehr' },
      '* LIST () "/" "Entw&APw-rfe &- mehr"\r\n',
    ],
    [{ kind: 'LIST', attributes: [], mailboxName: '' }, '* LIST () "/" ""\r\n'],
    [{ kind: 'SEARCH', numbers: [] }, '* SEARCH\r\n'],
    [{ kind: 'continuation', text: '' }, '+ \r\n'],
    [{ kind: 'ID', pairs: [['a"b', 'c\r\nd']] }, '* ID ("a\\"b" {4}\r\nc\r\nd)\r\n'],
    [
      { kind: 'FETCH', seqNum: 1, items: [{ kind: 'INTERNALDATE', date: new Date('2026-02-03T04:05:06Z') }] },
      '* 1 FETCH (INTERNALDATE "03-Feb-2026 04:05:06 +0000")\r\n',
    ],
  ] satisfies [Response, string][])('%o', (response, expected) => {
    expect(wire(response)).toBe(expected)
    if (response.kind !== 'continuation')
      expect(parseServerOutput(Buffer.from(expected, 'latin1'))).toHaveLength(1)
  })

  it.each([
    [{ kind: 'condition', status: 'OK', text: 'a\r\n* BYE' }],
    [{ kind: 'condition', status: 'OK', text: 'z\u00fcrich' }],
    [{ kind: 'FLAGS', flags: ['a b'] }],
    [{ kind: 'FLAGS', flags: ['a)\r\n'] }],
    [{ kind: 'CAPABILITY', names: ['A\r\nB'] }],
  ] satisfies [Response][])('refuses what would break a line: %o', (response) => {
    expect(() => encodeResponse(response)).toThrow('response')
  })

  it('gives 8-bit header values as literals, and a name that needs it in the section', async () => {
    const index = await indexMessage(once('Subject: gr\xfcn\r\n\r\n'))
    const text = wire({
      kind: 'FETCH',
      seqNum: 1,
      items: [
        { kind: 'ENVELOPE', envelope: index.envelope },
        {
          kind: 'section',
          section: { path: [], text: { kind: 'HEADER.FIELDS', names: ['a b', 'c'] } },
          origin: null,
          content: { kind: 'bytes', bytes: Buffer.from('\r\n') },
        },
      ],
    })
    expect(text).toContain('ENVELOPE (NIL {4}\r\ngr\xfcn NIL')
    expect(text).toContain('BODY[HEADER.FIELDS ("a b" c)] {2}\r\n\r\n)')
    expect(parseServerOutput(Buffer.from(text, 'latin1'))).toHaveLength(1)
  })

  it('gives a multipart without parts one empty part, as the grammar wants', async () => {
    const { structure } = await indexMessage(
      once('Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing\r\n'),
    )
    const multipart = {
      ...structure,
      kind: 'multipart',
      type: 'multipart',
      subtype: 'mixed',
      parts: [],
    } as const
    const text = wire({ kind: 'FETCH', seqNum: 1, items: [{ kind: 'BODYSTRUCTURE', structure: multipart }] })
    expect(parseServerOutput(Buffer.from(text, 'latin1'))).toHaveLength(1)
  })
})

describe('sequence sets', () => {
  it('are sorted, joined and know the last message', () => {
    expect(
      normalizeSet(
        [
          { from: '*', to: 8 },
          { from: 3, to: 1 },
          { from: 4, to: 4 },
        ],
        10,
      ),
    ).toEqual([
      { low: 1, high: 4 },
      { low: 8, high: 10 },
    ])
  })

  it('UID sets are written in the order given', () => {
    expect(formatUidSet([3, 4, 5, 9, 1] as Uid[])).toBe('3:5,9,1')
  })
})

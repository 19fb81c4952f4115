import { beforeAll, describe, expect, it } from 'vitest'
import { locateSection, partialOf } from '../../../src/imap/body-section.ts'
import { parseFetchAttributes } from '../../../src/imap/parse-fetch.ts'
import { Parser } from '../../../src/imap/parser.ts'
import { indexMessage } from '../../../src/mail/index-message.ts'
import type { MessageIndex } from '../../../src/mail/message-index.ts'

/** The shape of the example in RFC 9051 6.4.5: text, file, message with two parts, multipart with a message in it. */
const MESSAGE = [
  'Subject: outer',
  'Content-Type: multipart/mixed; boundary=A',
  '',
  '--A',
  'X: part 1',
  '',
  'one',
  '--A',
  'Content-Type: application/octet-stream',
  '',
  'two',
  '--A',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  'Content-Type: multipart/alternative; boundary=B',
  '',
  '--B',
  '',
  'three-one',
  '--B',
  'Content-Type: text/html',
  '',
  'three-two',
  '--B--',
  '--A',
  'Content-Type: multipart/mixed; boundary=C',
  '',
  '--C',
  'Content-Type: message/rfc822',
  '',
  'Subject: deep',
  '',
  'four-one-one',
  '--C--',
  '--A--',
  '',
].join('\r\n')

let index: MessageIndex

beforeAll(async () => {
  index = await indexMessage(
    (async function* () {
      yield Buffer.from(MESSAGE)
    })(),
  )
})

/** The octets a section names, or what kind of place it is. */
function octets(section: string): string {
  const [attribute] = parseFetchAttributes(new Parser([{ kind: 'text', bytes: `BODY[${section}]` }]))
  if (attribute?.kind !== 'section') throw new Error('no section')
  const place = locateSection(index.structure, index.size, attribute.section)
  return place.kind === 'nowhere' ? 'NIL' : MESSAGE.slice(place.range.start, place.range.end)
}

describe('body sections', () => {
  it.each([
    ['', MESSAGE],
    ['HEADER', 'Subject: outer\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n'],
    ['1', 'one'],
    ['1.MIME', 'X: part 1\r\n\r\n'],
    ['2', 'two'],
    ['3.HEADER', 'Subject: inner\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n'],
    ['3.MIME', 'Content-Type: message/rfc822\r\n\r\n'],
    ['3.1', 'three-one'],
    ['3.2', 'three-two'],
    ['3.2.MIME', 'Content-Type: text/html\r\n\r\n'],
    ['4.1.HEADER', 'Subject: deep\r\n\r\n'],
    ['4.1.TEXT', 'four-one-one'],
    ['4.1.1', 'four-one-one'],
    ['4.1', 'Subject: deep\r\n\r\nfour-one-one'],
  ])('[%s]', (section, expected) => {
    expect(octets(section)).toBe(expected)
  })

  it.each(['5', '1.1', '1.HEADER', '1.TEXT', '4.HEADER', '3.3', '4.1.2', '4.1.1.1'])(
    '[%s] is NIL',
    (section) => {
      expect(octets(section)).toBe('NIL')
    },
  )

  it('HEADER and TEXT are the whole of a message, inner ones too', () => {
    expect(octets('HEADER') + octets('TEXT')).toBe(MESSAGE)
    expect(octets('3.HEADER') + octets('3.TEXT')).toBe(octets('3'))
  })

  it.each([
    [
      { origin: 0, count: 5 },
      { start: 10, end: 15 },
    ],
    [
      { origin: 8, count: 5 },
      { start: 18, end: 20 },
    ],
    [
      { origin: 10, count: 5 },
      { start: 20, end: 20 },
    ],
    [
      { origin: 4294967295, count: 4294967295 },
      { start: 20, end: 20 },
    ],
  ])('partial %o of 10:20 is %o', (partial, range) => {
    expect(partialOf({ start: 10, end: 20 }, partial)).toEqual(range)
  })
})

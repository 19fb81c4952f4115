import { describe, expect, it } from 'vitest'
import { parseDateTime } from '../../../src/imap/parse-date.ts'
import { parseFetchAttributes } from '../../../src/imap/parse-fetch.ts'
import { parseSearchProgram } from '../../../src/imap/parse-search.ts'
import { Parser, type Segment } from '../../../src/imap/parser.ts'
import { ImapSyntaxError } from '../../../src/imap/reply-error.ts'

function parserOf(...parts: readonly string[]): Parser {
  const segments = parts.map(
    (bytes, index): Segment => ({ kind: index % 2 === 0 ? 'text' : 'literal', bytes }),
  )
  return new Parser(segments)
}

describe('strings', () => {
  it.each([
    ['x]y', 'x]y'],
    ['"a \\"b\\" \\\\"', 'a "b" \\'],
    ['""', ''],
    ['"z\xc3\xbcrich"', 'z\xc3\xbcrich'],
  ])('astring %s is %s', (text, value) => {
    const p = parserOf(text)
    expect(p.astring()).toBe(value)
    p.end()
  })

  it('a literal may hold what a line cannot, and the line goes on behind it', () => {
    const p = parserOf('', 'a\r\n"b', ' c')
    expect(p.astring()).toBe('a\r\n"b')
    p.sp()
    expect(p.atom()).toBe('c')
    p.end()
  })

  it.each(['"a', '"a\\b"', '"\xff"', '(a', '', 'a{b', '"a\0"'])('astring %j is refused', (text) => {
    const p = parserOf(text)
    expect(() => {
      p.astring()
      p.end()
    }).toThrow(ImapSyntaxError)
  })

  it('NUL in a literal is refused', () => {
    expect(() => parserOf('', 'a\0b', '').astring()).toThrow(ImapSyntaxError)
  })

  it('nstring tells NIL from a string', () => {
    expect(parserOf('nil').nstring()).toBeNull()
    expect(parserOf('"NIL"').nstring()).toBe('NIL')
    expect(() => parserOf('NILS').nstring()).toThrow(ImapSyntaxError)
  })
})

describe('numbers and sets', () => {
  it.each([
    ['1', [{ from: 1, to: 1 }]],
    [
      '2,4:7,9,12:*',
      [
        { from: 2, to: 2 },
        { from: 4, to: 7 },
        { from: 9, to: 9 },
        { from: 12, to: '*' },
      ],
    ],
    ['*:4', [{ from: '*', to: 4 }]],
    ['4294967295', [{ from: 4294967295, to: 4294967295 }]],
  ])('sequence-set %s', (text, set) => {
    expect(parserOf(text).sequenceSet()).toEqual(set)
  })

  it.each(['0', '1:0', '1,', ',1', '1:', 'a', '4294967296', '-1', '01'])(
    'sequence-set %s is refused',
    (text) => {
      const p = parserOf(text)
      expect(() => {
        p.sequenceSet()
        p.end()
      }).toThrow(ImapSyntaxError)
    },
  )

  it('a set of too many ranges is refused', () => {
    expect(() => parserOf(Array.from({ length: 8193 }, () => '1').join(',')).sequenceSet()).toThrow(
      ImapSyntaxError,
    )
  })
})

describe('flags', () => {
  it('system flags get their spelling, keywords keep theirs, each once; others have no effect', () => {
    expect(parserOf('(\\seen $Label1 \\SEEN $label1 \\Recent \\Other)').flagList()).toEqual([
      '\\Seen',
      '$Label1',
    ])
  })

  it.each(['(\\)', '(a b', '(a  b)', '((a))', '(a%b)'])('%s is refused', (text) => {
    const p = parserOf(text)
    expect(() => p.flagList()).toThrow(ImapSyntaxError)
  })
})

describe('dates', () => {
  it.each([
    ['" 5-Mar-2020 10:00:00 +0100"', '2020-03-05T09:00:00.000Z'],
    ['"05-mar-2020 10:00:00 -0130"', '2020-03-05T11:30:00.000Z'],
    ['"29-Feb-2024 23:59:60 +0000"', '2024-03-01T00:00:00.000Z'],
  ])('date-time %s is %s', (text, iso) => {
    expect(parseDateTime(parserOf(text)).toISOString()).toBe(iso)
  })

  it.each([
    '"5-Mar-2020 10:00:00 +0100"',
    '"29-Feb-2025 10:00:00 +0000"',
    '"05-Mrz-2020 10:00:00 +0000"',
    '"05-Mar-2020 24:00:00 +0000"',
    '"05-Mar-2020 10:00:00 +0099"',
    '"05-Mar-2020 10:00:00"',
  ])('date-time %s is refused', (text) => {
    expect(() => parseDateTime(parserOf(text))).toThrow(ImapSyntaxError)
  })
})

describe('fetch-att', () => {
  it('reads sections, partials and macros', () => {
    expect(
      parseFetchAttributes(parserOf('(body.peek[1.2.HEADER.FIELDS (a "b")]<5.10> RFC822.SIZE)')),
    ).toEqual([
      {
        kind: 'section',
        section: { path: [1, 2], text: { kind: 'HEADER.FIELDS', names: ['a', 'b'] } },
        partial: { origin: 5, count: 10 },
        peek: true,
      },
      { kind: 'RFC822.SIZE' },
    ])
    expect(parseFetchAttributes(parserOf('full'))).toHaveLength(5)
  })

  it.each([
    'BODY[1.]',
    'BODY[.1]',
    'BODY[MIME]',
    'BODY[0]',
    'BODY[1',
    'BODY[]<5>',
    'BODY[]<1.0>',
    'BODY.PEEK',
    'BODY[HEADER.FIELDS ()]',
    '(ALL)',
    '()',
    'X-GM-MSGID',
  ])('%s is refused', (text) => {
    const p = parserOf(text)
    expect(() => {
      parseFetchAttributes(p)
      p.end()
    }).toThrow(ImapSyntaxError)
  })

  it('a part number of too many levels is refused', () => {
    expect(() => parseFetchAttributes(parserOf(`BODY[${'1.'.repeat(64)}1]`))).toThrow(ImapSyntaxError)
  })
})

describe('search-key', () => {
  it('nests up to the limit and no further', () => {
    const nested = (depth: number): string => ` ${'('.repeat(depth)}ALL${')'.repeat(depth)}`
    expect(() => parseSearchProgram(parserOf(nested(256)))).not.toThrow()
    expect(() => parseSearchProgram(parserOf(nested(257)))).toThrow(ImapSyntaxError)
    expect(() => parseSearchProgram(parserOf(` ${'NOT '.repeat(5000)}ALL`))).toThrow(ImapSyntaxError)
  })

  it('a needle must be text in the charset', () => {
    expect(() => parseSearchProgram(parserOf(' CHARSET US-ASCII TEXT ', 'z\xc3\xbc', ''))).toThrow(
      ImapSyntaxError,
    )
    expect(() => parseSearchProgram(parserOf(' CHARSET UTF-8 TEXT ', 'z\xfc', ''))).toThrow(ImapSyntaxError)
    expect(parseSearchProgram(parserOf(' CHARSET UTF-8 TEXT ', 'Z\xc3\x9c', ''))).toEqual({
      kind: 'and',
      keys: [{ kind: 'text', needle: 'z\u00fc' }],
    })
  })
})

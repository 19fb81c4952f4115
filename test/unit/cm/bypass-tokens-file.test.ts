import { describe, expect, it } from 'vitest'
import { encodeBypassTokens, parseBypassTokens } from '../../../src/cm/bypass-tokens-file.ts'
import { vectorJson } from '../../support/vectors.ts'

const KEY = 'da3f4e31ae4082ecf960b007ec8dacbe1ca9e289'
const OTHER = 'e6e73df5920e7325f02029372afa2d8ead20d7fa'
const TOKEN = 'e5353879bd69bfddcb465dad176ff52db8319d6f'
const SECOND = '21831e61a8ce1a8061ec35002ecba0c057940380'
const COMMENT = '# in/out,keyid,tokenhash,create_time,expire_time'
const DATE = '2025-01-10T00:00:00Z'
const line = (direction: string, key: string, token: string, created = DATE, expires = 'never'): string =>
  [direction, key, token, created, expires].join(',')
const issued = { direction: 'issued', keyId: KEY, secret: TOKEN, created: DATE, expires: 'never' }
const received = { ...issued, direction: 'received', keyId: OTHER }

describe('bypass_tokens.txt', () => {
  it.each([
    [
      'both directions',
      `${COMMENT}\n${line('out', KEY, TOKEN)}\n${line('in', OTHER, TOKEN)}\n`,
      [issued, received],
    ],
    ['CRLF line ends', `${COMMENT}\r\n${line('out', KEY, TOKEN)}\r\n`, [issued]],
    [
      'lines glued together',
      `${COMMENT}\n${line('out', KEY, TOKEN)}${line('in', OTHER, TOKEN)}`,
      [issued, received],
    ],
    ['a line glued to the comment', `${COMMENT}\n\n${line('out', KEY, TOKEN)}`, [issued]],
    [
      'the words of the comment as dates',
      `${COMMENT}\n${line('in', OTHER, TOKEN, 'create_time', 'expire_time')}\n`,
      [{ ...received, created: undefined }],
    ],
    ['upper case', `${line('in', OTHER.toUpperCase(), TOKEN.toUpperCase())}\n`, [received]],
    [
      'the same token again and again',
      `${line('in', OTHER, TOKEN)}\n${line('in', OTHER, TOKEN.toUpperCase())}\n${line('in', OTHER, TOKEN)}\n`,
      [received],
    ],
    [
      'an end',
      `${line('out', KEY, TOKEN, DATE, '2025-01-20T09:00:01Z')}\n`,
      [{ ...issued, expires: '2025-01-20T09:00:01Z' }],
    ],
    [
      'two tokens of a key, the last one last',
      `${line('out', KEY, SECOND)}\n${line('out', KEY, TOKEN)}\n${line('out', KEY, SECOND)}\n`,
      [issued, { ...issued, secret: SECOND }],
    ],
    ['nothing', '', []],
  ])('is read: %s', (_name, text, tokens) => {
    expect(parseBypassTokens(text)).toEqual({ tokens, unreadableLines: [] })
  })

  it.each([
    ['four fields', `out,${KEY},${TOKEN},${DATE}`],
    ['a short token', line('out', KEY, TOKEN.slice(1))],
    ['another direction', line('to', KEY, TOKEN)],
    ['no such day', line('out', KEY, TOKEN, '2025-02-30T00:00:00Z')],
    ['another end', line('out', KEY, TOKEN, DATE, 'some day')],
    ['something behind it', `${line('out', KEY, TOKEN)} x`],
    ['what is no text', '\u0000\ufffd\u0000'],
  ])('tells the line of %s', (_name, text) => {
    const good = line('in', OTHER, TOKEN)
    const read = parseBypassTokens(`${COMMENT}\n${text}\n${good}\n`)
    expect(read.unreadableLines).toEqual([2])
    expect(read.tokens).toContainEqual(received)
  })

  it('is written as the reference reads it', () => {
    const text = encodeBypassTokens(
      [issued, received].map((one) => ({
        ...one,
        keyId: one.keyId as never,
        direction: one.direction as 'issued',
      })),
    )
    expect(text).toBe(`${COMMENT}\n${line('out', KEY, TOKEN)}\n${line('in', OTHER, TOKEN)}\n`)
    expect(
      text
        .split('\n')
        .slice(0, -1)
        .every((one) => one.split(',').length === 5),
    ).toBe(true)
    expect(parseBypassTokens(text).tokens).toEqual([issued, received])
  })
})

describe('every file the reference left behind in the vectors', () => {
  interface Row {
    readonly fileBefore: string | null
    readonly fileAfter?: string | null
  }
  const { cases } = vectorJson<{ readonly cases: readonly Row[] }>('bypass.json')
  const files = cases
    .flatMap(({ fileBefore, fileAfter }) => [fileBefore, fileAfter])
    .filter((file) => typeof file === 'string' && file.includes(','))

  it('gives each whole token in it, in the order of the file', () => {
    expect(files.length).toBeGreaterThan(10)
    for (const file of files) {
      const text = file ?? ''
      const inFile = new Set(
        [...text.matchAll(/(in|out),([0-9a-f]{40}),([0-9a-f]{40}),[^,\n]+,/gi)].map((match) =>
          match.slice(1).join(' ').toLowerCase(),
        ),
      )
      const { tokens } = parseBypassTokens(text)
      const read = tokens.map(({ direction, keyId, secret }) =>
        [direction === 'issued' ? 'out' : 'in', keyId, secret].join(' '),
      )
      expect(new Set(read)).toEqual(inFile)
    }
  })
})

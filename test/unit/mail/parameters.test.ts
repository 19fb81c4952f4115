import { describe, expect, it } from 'vitest'
import { partFileName } from '../../../src/mail/file-name.ts'
import { parseParameterized } from '../../../src/mail/parameters.ts'

describe('a value with parameters', () => {
  it.each<[string, string, readonly (readonly [string, string])[]]>([
    ['text/plain', 'text/plain', []],
    ['TEXT/Plain; Charset="utf-8"', 'text/plain', [['charset', 'utf-8']]],
    ['text/plain (a (b) c) ; (d) charset (e) = (f) utf-8 (g)', 'text/plain', [['charset', 'utf-8']]],
    [
      'multipart/mixed; boundary=----NM-?=_1-1327405538300',
      'multipart/mixed',
      [['boundary', '----NM-?=_1-1327405538300']],
    ],
    [
      'a/b; x="q\\"u\\\\o;te"; y=2',
      'a/b',
      [
        ['x', 'q"u\\o;te'],
        ['y', '2'],
      ],
    ],
    ['a/b;; ;x=1;', 'a/b', [['x', '1']]],
    ['a/b charset=utf-8', 'a/b', [['charset', 'utf-8']]],
    [
      'attachment; filename=my report.pdf; size=3',
      'attachment',
      [
        ['filename', 'my report.pdf'],
        ['size', '3'],
      ],
    ],
    ['attachment; filename="unclosed', 'attachment', [['filename', 'unclosed']]],
    ['attachment; x=1; X=2', 'attachment', [['x', '1']]],
    [
      "a/b; boundary*0*=us-ascii''%3D_7ea0b602; boundary*1*=-b658d5_%3D",
      'a/b',
      [['boundary', '=_7ea0b602-b658d5_=']],
    ],
    ['a/b; x*1=b; x*0=a; x*2="c d"', 'a/b', [['x', 'abc d']]],
    [
      "a/b; filename*=UTF-8''%E2%82%AC.txt; filename=euro.txt",
      'a/b',
      [
        ['filename', 'euro.txt'],
        ['filename*', "UTF-8''%E2%82%AC.txt"],
      ],
    ],
    ["a/b; n*0*=utf-8'de'%c3; n*1=%41; n*2*=%bc", 'a/b', [['n*', "utf-8'de'%c3%2541%bc"]]],
    ["a/b; x*=utf-8''a%0d%0ab", 'a/b', [['x*', "utf-8''a%0d%0ab"]]],
    ['', '', []],
    ['; ; =; ="x"; =y; ok=1', '', [['ok', '1']]],
  ])('%s', (text, value, parameters) => {
    expect(parseParameterized(text)).toEqual({ value, parameters })
  })

  it('ends soon for hostile text', () => {
    for (const text of [';', '=', '"', '(', 'a=', 'a*0=b;', '\\', ' ', '*'].map((piece) =>
      piece.repeat(50_000),
    )) {
      const started = performance.now()
      expect(parseParameterized(`a/b; ${text}`).parameters.length).toBeLessThanOrEqual(100)
      expect(performance.now() - started).toBeLessThan(1_000)
    }
  })
})

describe('a file name', () => {
  const name = (disposition: string, type = 'a/b') =>
    partFileName({
      parameters: parseParameterized(type).parameters,
      disposition: { type: 'attachment', parameters: parseParameterized(disposition).parameters },
    })

  it.each([
    ['attachment; filename=a.txt', 'a.txt'],
    ["attachment; filename*=UTF-8''%E2%82%AC.txt; filename=euro.txt", '€.txt'],
    ["attachment; filename*=iso-8859-1'de'%FC.txt", 'ü.txt'],
    ["attachment; filename*=UTF-8''%E8.xlsx", '�.xlsx'],
    ["attachment; filename*=nonsense''%E8.xlsx", 'è.xlsx'],
    ["attachment; filename*0*=''attached%2E; filename*1*=%62; filename*2=at", 'attached.bat'],
    ['attachment; filename*0="=?UTF-8?Q?=F0=9F=93=8"; filename*1="E_Angebot.pdf?="', '📎 Angebot.pdf'],
    ['attachment; filename="=?UTF-8?B?4oKsLnR4dA==?="', '€.txt'],
    // Decoded once only: what RFC 2231 gives is not read as RFC 2047.
    ["attachment; filename*=utf-8''%E2%82%AC=%3Futf-8%3FQ%3F=2Eexe%3F=", '€=?utf-8?Q?=2Eexe?='],
    ['attachment; filename=""', undefined],
    ['attachment', undefined],
  ])('of %s is %s', (disposition, expected) => {
    expect(name(disposition)).toBe(expected)
  })

  it('is that of Content-Type when the disposition has none', () => {
    expect(name('attachment', 'a/b; name=x.pdf')).toBe('x.pdf')
  })
})

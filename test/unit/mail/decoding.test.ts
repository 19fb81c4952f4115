import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeCharset } from '../../../src/mail/charset.ts'
import { unflow } from '../../../src/mail/flowed-text.ts'
import { htmlToText } from '../../../src/mail/html-text.ts'
import { createTransferDecoder, decodeTransfer } from '../../../src/mail/transfer-decoding.ts'

const decoded = (text: string, encoding: string) =>
  decodeTransfer(Buffer.from(text, 'latin1'), encoding).toString('latin1')

function inPieces(text: string, encoding: string, size: number): string {
  const decoder = createTransferDecoder(encoding)
  const bytes = Buffer.from(text, 'latin1')
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size)
    pieces.push(Buffer.from(decoder.push(bytes.subarray(at, at + size))))
  pieces.push(decoder.finish())
  return Buffer.concat(pieces).toString('latin1')
}

describe('quoted-printable', () => {
  it.each([
    ['a=3Db', 'a=b'],
    ['a=3db=20', 'a=b '],
    ['soft=\r\nbreak', 'softbreak'],
    ['soft= \t\r\nbreak', 'softbreak'],
    ['soft=\nbreak', 'softbreak'],
    ['blanks \t\r\nend  ', 'blanks\r\nend'],
    ['a b', 'a b'],
    ['not=XX escape=4', 'not=XX escape=4'],
    ['==41', '=A'],
    ['==\r\n41', '=41'],
    ['=', ''],
    ['=4', '=4'],
    ['=4\r\n', '=4\r\n'],
    ['=\rx', '=\rx'],
    [' \rx', ' \rx'],
    ['=0D=0A\r\n', '\r\n\r\n'],
    [`${' '.repeat(3_000)}x`, `${' '.repeat(3_000)}x`],
  ])('%j is %j', (text, expected) => {
    expect(decoded(text, 'quoted-printable')).toBe(expected)
  })

  it('does not depend on the pieces', () => {
    const text = fc.array(
      fc.constantFrom('=', '4', '1', 'G', ' ', '\t', '\r', '\n', '\r\n', 'x', ' '.repeat(400)),
      { maxLength: 30 },
    )
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (parts, size) => {
        expect(inPieces(parts.join(''), 'quoted-printable', size)).toBe(
          decoded(parts.join(''), 'quoted-printable'),
        )
      }),
      { numRuns: 1000 },
    )
  })
})

describe('base64', () => {
  it.each([
    ['aGVsbG8=', 'hello'],
    ['aGVs\r\nbG8', 'hello'],
    ['aGVs!bG8=\r\n', 'hello'],
    ['aGVsbG8=aGVsbG8=', 'hellohello'],
    ['YQ==YQ==\r\nYQ', 'aaa'],
    ['', ''],
    ['====', ''],
    ['a', ''],
  ])('%j is %j', (text, expected) => {
    expect(decoded(text, 'base64')).toBe(expected)
    for (const size of [1, 2, 3, 5]) expect(inPieces(text, 'base64', size)).toBe(expected)
  })

  it('gives back any octets in any pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 90 }), (bytes, size) => {
        const text = Buffer.from(bytes).toString('base64').replace(/.{76}/g, '$&\r\n')
        expect(inPieces(text, 'base64', size)).toBe(Buffer.from(bytes).toString('latin1'))
      }),
    )
  })
})

describe('charsets', () => {
  it.each([
    [Buffer.from('ü'), 'utf-8', 'ü'],
    [Buffer.from([0xfc]), 'ISO-8859-1', 'ü'],
    [Buffer.from([0xfc]), undefined, 'ü'],
    [Buffer.from('ü'), undefined, 'ü'],
    [Buffer.from([0xfc]), 'us-ascii', 'ü'],
    [Buffer.from([0xfc]), 'utf-8', '�'],
    [Buffer.from([0xfc]), 'no such charset', 'ü'],
    [Buffer.from([0xcf, 0xd0]), 'koi8-r', 'оп'],
    [Buffer.from([0xef, 0xbb, 0xbf, 0x61]), 'utf-8', 'a'],
  ])('%# are read', (bytes, label, text) => {
    expect(decodeCharset(bytes, label)).toBe(text)
  })
})

describe('flowed text', () => {
  it.each([
    ['one \ntwo\nthree\n', false, 'one two\nthree\n'],
    ['one \ntwo', true, 'onetwo'],
    ['> a \n> b\nc', false, '> a b\nc'],
    ['> a \nb', false, '> a \nb'],
    [' stuffed\n >x', false, 'stuffed\n>x'],
    ['text \n-- \nsignature', false, 'text \n-- \nsignature'],
    ['', false, ''],
  ])('%j', (text, delSp, expected) => {
    expect(unflow(text, delSp)).toBe(expected)
  })
})

describe('HTML as text', () => {
  it.each([
    ['<p>a</p><p>b &amp; c</p>', 'a\n\nb & c\n'],
    ['a<br>b<br/>c', 'a\nb\nc\n'],
    ['<ul><li>a</li><li>b</li></ul>', '- a\n- b\n'],
    ['<a href="https://example.net/x">here</a>', 'here <https://example.net/x>\n'],
    ['<a href="javascript:x">here</a>', 'here\n'],
    ['<style>p{}</style><script>x</script><!-- c -->a', 'a\n'],
    ['<pre>a\n  b</pre>', 'a\n  b\n'],
    ['a   \n b', 'a b\n'],
    ['1 < 2 &lt; 3 &#x20AC; &#0; &unknown;', '1 < 2 < 3 € � &unknown;\n'],
    ['<p title="a>b">x</p>', 'x\n'],
    ['<table><tr><td>a</td><td>b</td></tr></table>', 'a b\n'],
    ['<!DOCTYPE html><html><head><title>t</title></head><body>x</body></html>', 'x\n'],
  ])('%s', (html, text) => {
    expect(htmlToText(html)).toBe(text)
  })

  it('ends soon for hostile pages', () => {
    const pieces = [
      '<',
      '<style>',
      '<a href="',
      '<!--',
      '&',
      '<p>',
      '<li',
      '</',
      ' ',
      '\n',
      '<pre>',
      'href=  ',
      '&#1',
    ]
    for (const page of pieces.map((piece) => piece.repeat(200_000))) {
      const started = performance.now()
      htmlToText(page)
      htmlToText(`<a ${page}`)
      expect(performance.now() - started).toBeLessThan(3_000)
    }
  })
})

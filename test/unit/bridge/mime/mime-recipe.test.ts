import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  encodeRecipe,
  type MimeRecipe,
  parseRecipe,
  RecipeMismatchError,
  rebuildFromRecipe,
} from '../../../../src/bridge/mime/mime-recipe.ts'
import { chunked, collect } from '../../../support/mail-files.ts'

const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex')

const good: MimeRecipe = {
  version: 1,
  header: ['Message-ID: <a@b>\r\n', 'Content-Type: text/plain;\r\n charset=utf-8\r\n'],
  size: 8,
  sha256: sha256('literal\n'),
  segments: [{ literal: 'literal\n' }],
}

const entry = (name: string) => ({ entry: name, skip: 0 })

describe('a recipe from a stranger', () => {
  it('is read when it is one', () => {
    expect(parseRecipe(encodeRecipe(good))).toEqual(good)
    const segments = [{ base64: '_a', line: 76 }, entry('_b c.txt'), entry('MIME.1'), { literal: 'ÿ' }]
    expect(parseRecipe(encodeRecipe({ ...good, segments }))?.segments).toEqual(segments)
  })

  it.each<[string, unknown]>([
    ['another version', { ...good, version: 2 }],
    ['no object', []],
    ['a size that is no count', { ...good, size: -1 }],
    ['a size beyond reason', { ...good, size: 2 ** 50 }],
    ['a digest that is none', { ...good, sha256: 'x' }],
    ['a From field', { ...good, header: ['From: eve@example.org\r\n'] }],
    ['a Bcc field', { ...good, header: ['Bcc: eve@example.org\r\n'] }],
    ['a field of ours', { ...good, header: ['X-CM-Signature: good\r\n'] }],
    ['two fields in one', { ...good, header: ['Date: x\r\nFrom: y\r\n'] }],
    ['a bare CR', { ...good, header: ['Date: x\rFrom: y\r\n'] }],
    ['a bare LF', { ...good, header: ['Date: x\nFrom: y\r\n'] }],
    ['a NUL', { ...good, header: ['Date: x\0\r\n'] }],
    ['an empty line', { ...good, header: ['Date: x\r\n\r\n'] }],
    ['no line break', { ...good, header: ['Date: x'] }],
    ['a field twice', { ...good, header: ['Date: x\r\n', 'DATE: y\r\n'] }],
    ['a character that is no octet', { ...good, segments: [{ literal: 'Ā' }] }],
    ['an entry twice', { ...good, segments: [entry('_a'), { base64: '_a', line: 76 }] }],
    ['an acknowledgment', { ...good, segments: [entry('ACK_AA.BIN')] }],
    ['the header', { ...good, segments: [entry('HEADER.TXT')] }],
    ['a long name', { ...good, segments: [entry(`_${'a'.repeat(200)}`)] }],
    ['lines of no use', { ...good, segments: [{ base64: '_a', line: 1000 }] }],
    ['lines of negative length', { ...good, segments: [{ base64: '_a', line: -1 }] }],
    ['a skip that is none', { ...good, segments: [{ entry: '_a', skip: 0.5 }] }],
    ['a segment of nothing', { ...good, segments: [{}] }],
    ['too many segments', { ...good, segments: Array.from({ length: 4_001 }, () => ({ literal: '' })) }],
    ['no segments', { ...good, segments: undefined }],
  ])('is none with %s', (_what, value) => {
    expect(parseRecipe(Buffer.from(JSON.stringify(value)))).toBeUndefined()
  })

  it('is none when it is no JSON, no UTF-8 or too long', () => {
    expect(parseRecipe(Buffer.from('{'))).toBeUndefined()
    expect(parseRecipe(Buffer.from([0x22, 0xff, 0x22]))).toBeUndefined()
    expect(parseRecipe(Buffer.alloc(3 * 1024 * 1024, ' '))).toBeUndefined()
  })
})

describe('rebuilding', () => {
  const rebuild = (recipe: MimeRecipe, entries: Readonly<Record<string, string>> = {}) =>
    collect(rebuildFromRecipe(recipe, (name) => chunked(Buffer.from(entries[name] ?? ''), 5)))

  it('gives the kept fields, an empty line and the body', async () => {
    expect((await rebuild(good)).toString()).toBe(`${good.header.join('')}\r\nliteral\n`)
  })

  it('encodes entries and leaves their first octets out', async () => {
    const body = 'aGVsbG8g\r\nd29ybGQ=\r\nrest'
    const recipe = {
      ...good,
      size: body.length,
      sha256: sha256(body),
      segments: [{ base64: '_a', line: 8 }, { literal: '\r\n' }, { entry: '_b', skip: 7 }],
    }
    const rebuilt = await rebuild(recipe, { _a: 'hello world', _b: 'header\nrest' })
    expect(rebuilt.toString().endsWith(`\r\n\r\n${body}`)).toBe(true)
  })

  it.each([
    ['longer', { ...good, size: 7 }],
    ['shorter', { ...good, size: 9 }],
    ['other', { ...good, sha256: sha256('other') }],
  ])('fails when the body is %s than announced', async (_what, recipe) => {
    await expect(rebuild(recipe)).rejects.toThrow(RecipeMismatchError)
  })
})

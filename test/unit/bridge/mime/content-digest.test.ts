import { describe, expect, it } from 'vitest'
import { contentDigest } from '../../../../src/bridge/mime/content-digest.ts'
import { chunked, mailCase } from '../../../support/mail-files.ts'

function digest(message: string | Uint8Array, chunkSize = 1000): Promise<string> {
  return contentDigest(chunked(Buffer.from(message as Uint8Array), chunkSize))
}

const plain = (text: string) => `Subject: a\r\n\r\n${text}`
const base64 = (text: string) =>
  `Subject: b\r\nContent-Transfer-Encoding: base64\r\n\r\n${Buffer.from(text).toString('base64')}\r\n`

describe('a content digest', () => {
  it.each([
    ['other header fields', plain('x\r\n'), plain('x\r\n').replace('a', 'b')],
    ['another transfer encoding', plain('x y\r\n'), base64('x y\r\n')],
    ['other line breaks', plain('x\r\ny\r\n'), plain('x\ny')],
    ['empty lines at the end', plain('x\r\n'), plain('x\r\n\r\n\r\n')],
    [
      'another boundary',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n',
      'Content-Type: multipart/mixed; boundary=b\r\n\r\nprologue\r\n--b\r\n\r\nx\r\n--b--\r\n',
    ],
  ])('is the same with %s', async (_what, one, other) => {
    expect(await digest(one)).toBe(await digest(other))
  })

  it.each([
    ['other text', plain('x'), plain('y')],
    ['an empty line more inside', plain('x\r\n\r\ny'), plain('x\r\ny')],
    [
      'the same text cut into parts elsewhere',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nxy\r\n--a\r\n\r\nz\r\n--a--\r\n',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a\r\n\r\nyz\r\n--a--\r\n',
    ],
    [
      'another forwarded subject',
      mailCase('M25.eml'),
      mailCase('M25.eml').toString('latin1').replace('the inner one\r\nDate', 'another one\r\nDate'),
    ],
  ])('differs with %s', async (_what, one, other) => {
    expect(await digest(one)).not.toBe(await digest(other))
  })

  it('does not depend on the chunks', async () => {
    for (const name of ['M19.eml', 'M22.eml', 'M25.eml', 'M28.eml']) {
      expect(await digest(mailCase(name), 1)).toBe(await digest(mailCase(name)))
    }
  })

  it('of a part that is nothing but line breaks needs no memory for them', async () => {
    expect(await digest(plain('\r\n'.repeat(1_000_000)))).toBe(await digest(plain('')))
  })
})

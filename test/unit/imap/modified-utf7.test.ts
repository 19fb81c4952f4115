import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeModifiedUtf7, encodeModifiedUtf7 } from '../../../src/imap/modified-utf7.ts'

describe('modified UTF-7', () => {
  it.each([
    ['INBOX', 'INBOX'],
    ['~peter/mail/台北/日本語', '~peter/mail/&U,BTFw-/&ZeVnLIqe-'],
    ['Entwürfe', 'Entw&APw-rfe'],
    ['A&B', 'A&-B'],
    ['\u{1f600}', '&2D3eAA-'],
  ])('%s is %s on the wire', (name, encoded) => {
    expect(encodeModifiedUtf7(name)).toBe(encoded)
    expect(decodeModifiedUtf7(encoded)).toBe(name)
  })

  it.each([
    ['an open shift', 'Entw&APw'],
    ['a bare ampersand', 'A&B'],
    ['encoded ASCII', '&AEE-'],
    ['two shifts for one run', '&APw-&APw-'],
    ['bits left over', '&APx-'],
    ['an odd octet', '&APwA-'],
    ['8-bit', 'Entw\xfcrfe'],
    ['a lone surrogate', '&2D0-'],
    ['a control character as it is', 'a\x07'],
  ])('%s is no name', (_what, encoded) => {
    expect(decodeModifiedUtf7(encoded)).toBeUndefined()
  })

  it('gives every well-formed name back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const name = text.toWellFormed()
        expect(decodeModifiedUtf7(encodeModifiedUtf7(name))).toBe(name)
      }),
    )
  })
})

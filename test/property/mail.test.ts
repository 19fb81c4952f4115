import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { base64LinesLength, encodeBase64Lines, hasSameBytes } from '../../src/bridge/mime/byte-streams.ts'
import { InputNormalizer } from '../../src/bridge/mime/input-normalizer.ts'
import { parseAddressList } from '../../src/mail/address-list.ts'
import { parseMailDate } from '../../src/mail/date.ts'
import { encodeMailbox, encodeTextField } from '../../src/mail/encode-field.ts'
import { decodeHeaderText, singleLine } from '../../src/mail/encoded-words.ts'
import { fieldValue, splitHeader } from '../../src/mail/header.ts'
import { chunked, collect } from '../support/mail-files.ts'

const headerText = fc
  .array(fc.constantFrom('A: b', 'junk', ' folded', '\tx', '\r\n', '\n', '\r', ':', 'Ü', ' '), {
    maxLength: 40,
  })
  .map((pieces) => pieces.join(''))

describe('a header', () => {
  it('is its fields joined, and what begins at the empty line', () => {
    fc.assert(
      fc.property(headerText, (text) => {
        const joined = splitHeader(text)
          .map((field) => field.raw)
          .join('')
        expect(text.startsWith(joined)).toBe(true)
        expect(text.slice(joined.length)).toMatch(/^(?:$|\r?\n)/)
      }),
      { numRuns: 1000 },
    )
  })

  it('takes any text as one field and gives it back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        const fields = splitHeader(encodeTextField('Subject', text))
        expect(fields).toHaveLength(1)
        const value = fields.map(fieldValue).join('')
        expect(decodeHeaderText(value)).toBe(singleLine(text).trim())
      }),
    )
  })

  it('takes any display name as one mailbox and gives it back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (name) => {
        const list = parseAddressList(encodeMailbox(name, 'bob@example.net'))
        expect(list).toHaveLength(1)
        expect(list[0]).toMatchObject({ localPart: 'bob', domain: 'example.net' })
        const decoded = decodeHeaderText(list[0]?.name ?? '')
        expect(decoded.trim()).toBe(singleLine(name).trim())
      }),
    )
  })

  it('never makes parsers throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        parseAddressList(text)
        parseMailDate(text)
        decodeHeaderText(text)
      }),
    )
  })
})

describe('base64 in lines', () => {
  it('is what an encoder writes, in any pieces, of the length foretold', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 1, max: 50 }),
        async (bytes, line, size) => {
          const text = Buffer.from(bytes).toString('base64')
          const lines = line === 0 ? text : (text.match(new RegExp(`.{1,${line}}`, 'g')) ?? []).join('\r\n')
          const encoded = await collect(encodeBase64Lines(chunked(bytes, size), line))
          expect(encoded.toString()).toBe(lines)
          expect(base64LinesLength(bytes.length, line)).toBe(lines.length)
        },
      ),
    )
  })
})

describe('two streams', () => {
  it('are the same exactly when their octets are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 60 }),
        fc.uint8Array({ maxLength: 2 }),
        fc.nat(7),
        async (one, more, size) => {
          const other = Buffer.concat([one, more])
          expect(await hasSameBytes(chunked(one, size + 1), chunked(other, 5))).toBe(more.length === 0)
          expect(await hasSameBytes(chunked(other, size + 1), chunked(one, 5))).toBe(more.length === 0)
        },
      ),
    )
  })
})

describe('normalised input', () => {
  it('has only CRLF, does not depend on the pieces and is its own normal form', () => {
    const normalize = (text: string, size: number) => {
      const normalizer = new InputNormalizer()
      const kept: string[] = []
      for (let at = 0; at < text.length; at += size) {
        kept.push(Buffer.from(normalizer.push(Buffer.from(text.slice(at, at + size)))).toString())
      }
      return kept.join('') + Buffer.from(normalizer.finish()).toString()
    }
    const text = fc
      .array(fc.constantFrom('\r', '\n', 'x', '\r\n'), { maxLength: 30 })
      .map((pieces) => pieces.join(''))
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 6 }), (input, size) => {
        const kept = normalize(input, size)
        expect(kept).toBe(input.replace(/\r\n|\r|\n/g, '\r\n').replace(/(?<!\n|^)$/, '\r\n'))
        expect(normalize(kept, size)).toBe(kept)
      }),
      { numRuns: 1000 },
    )
  })
})

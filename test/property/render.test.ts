import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cleanName } from '../../src/bridge/render/display-name.ts'
import { encodeText } from '../../src/bridge/render/encode-text.ts'
import { renderMessage } from '../../src/bridge/render/render-message.ts'
import { parseKeyId } from '../../src/cm/ids.ts'
import { collect, messageToRender } from '../support/render-input.ts'

const key = parseKeyId('2'.repeat(40))!
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\r',
      '\n',
      '\r\n',
      '\0',
      '\u2028',
      '\u202e',
      '<',
      '>',
      '"',
      '\\',
      ',',
      ':',
      '=?',
      '?=',
      'ž',
      '😀',
      '\ud800',
    ),
    fc.constantFrom('a', 'F', '0', '9', ' ', '-', '\u200b', '２'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }),
  ),
  maxLength: 120,
})

const rendered = fc
  .record({
    subject: nasty,
    bodyText: fc.option(nasty, { nil: undefined }),
    bodyHtml: fc.option(nasty, { nil: undefined }),
    userId: fc.option(nasty, { nil: undefined }),
    headerText: nasty,
    names: fc.array(nasty, { maxLength: 3 }),
    replyToIds: fc.array(nasty, { maxLength: 2 }),
    receivedFrom: nasty,
    show: fc.constantFrom('everything' as const, 'text-only' as const),
  })
  .map((input) => {
    const party = { keyId: key, userId: input.userId, headerText: input.headerText }
    const plain = messageToRender()
    return () =>
      messageToRender({
        ...input,
        from: party,
        to: [party, party],
        verdict: { ...plain.verdict, show: input.show },
        origin: { ...plain.origin, receivedFrom: input.receivedFrom },
        attachments: input.names.map((name) => ({
          name,
          open: async function* () {
            yield Buffer.from(name)
          },
        })),
      })
  })

const FIELDS =
  /^(Authentication-Results|X-CM-(From-Key|Signature|Trust|Message-Id|Received-From)|From|To|Subject|Date|Message-ID|In-Reply-To|References|MIME-Version|Content-Type|Content-Transfer-Encoding)$/

describe('renderMessage, whatever the message says', () => {
  it('writes ASCII with CRLF, lines of at most 998 octets, and only the fields it means to', async () => {
    await fc.assert(
      fc.asyncProperty(rendered, async (make) => {
        const octets = (await collect(renderMessage(make()))).toString('latin1')
        expect(octets).toMatch(/^[\t\r\n -~]*$/)
        expect(octets.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
        const lines = octets.split('\r\n')
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(998)
        const header = octets.slice(0, octets.indexOf('\r\n\r\n'))
        const names = header.split(/\r\n(?![ \t])/).map((field) => field.slice(0, field.indexOf(':')))
        for (const name of names) expect(name).toMatch(FIELDS)
        expect(new Set(names).size).toBe(names.length)
        expect(header).toMatch(/^From: .*2{40}"? <[!-~]+>$/m)
      }),
      { numRuns: 300 },
    )
  })

  it('gives the same octets for the same message', async () => {
    await fc.assert(
      fc.asyncProperty(rendered, async (make) => {
        expect(await collect(renderMessage(make()))).toEqual(await collect(renderMessage(make())))
      }),
      { numRuns: 50 },
    )
  })
})

describe('cleanName', () => {
  it('leaves no run of 16 hex digits, however they are written', () => {
    fc.assert(
      fc.property(nasty, (name) => {
        const digits = cleanName(name)
          .normalize('NFKC')
          .replace(/[\s:\p{Pd}\p{Cf}]/gu, '')
        expect(digits).not.toMatch(/[0-9a-fA-F]{16}/)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('encodeText', () => {
  it('gives the text back', () => {
    fc.assert(
      fc.property(nasty, (text) => {
        const { encoding, body } = encodeText(text)
        const decoded =
          encoding === '7bit'
            ? body
            : Buffer.from(
                body
                  .replaceAll('=\r\n', '')
                  .replace(/=([0-9A-F]{2})/g, (_all, hex: string) =>
                    String.fromCharCode(Number.parseInt(hex, 16)),
                  ),
                'latin1',
              ).toString('utf8')
        const lines = text
          .toWellFormed()
          .replaceAll('\0', '\uFFFD')
          .split(/\r\n|\r|\n/)
        if (lines.at(-1) === '') lines.pop()
        expect(decoded).toBe(lines.map((line) => `${line}\r\n`).join(''))
        for (const line of body.split('\r\n'))
          expect(line.length).toBeLessThanOrEqual(encoding === '7bit' ? 998 : 76)
      }),
    )
  })
})

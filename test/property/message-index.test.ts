import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BodyPart } from '../../src/mail/message-index.ts'
import { MessageScanner } from '../../src/mail/mime-split.ts'

const CASES = fileURLToPath(new URL('../golden/cases/', import.meta.url))
const MAILS = readdirSync(CASES).filter((name) => name.endsWith('.eml'))

/** Everything a scan tells: the index and the leaf content that went by. */
function scan(chunks: readonly Uint8Array[]) {
  const leaves: string[] = []
  const scanner = new MessageScanner({
    begin: (header) => leaves.push(`${header.type}/${header.subtype}:`),
    bytes: (chunk) => {
      leaves[leaves.length - 1] += Buffer.from(chunk).toString('latin1')
    },
    end: () => {},
  })
  for (const chunk of chunks) scanner.push(chunk)
  return { ...scanner.finish(), leaves }
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let position = 0
  for (const size of sizes) {
    chunks.push(bytes.subarray(position, position + size))
    position += size
  }
  chunks.push(bytes.subarray(position))
  return chunks
}

/** Leaves in the order of the message, as the scanner's listener sees them. */
function leafParts(part: BodyPart): readonly BodyPart[] {
  if (part.kind === 'multipart') return part.parts.flatMap(leafParts)
  if (part.kind === 'message') return leafParts(part.message)
  return [part]
}

function checkRanges(part: BodyPart, size: number): void {
  expect(part.header.start).toBeLessThanOrEqual(part.header.end)
  expect(part.header.end).toBe(part.body.start)
  expect(part.body.start).toBeLessThanOrEqual(part.body.end)
  expect(part.body.end).toBeLessThanOrEqual(size)
  const children = part.kind === 'multipart' ? part.parts : part.kind === 'message' ? [part.message] : []
  let position = part.body.start
  for (const child of children) {
    expect(child.header.start).toBeGreaterThanOrEqual(position)
    expect(child.body.end).toBeLessThanOrEqual(part.body.end)
    position = child.body.end
    checkRanges(child, size)
  }
}

/** Pieces that make delimiters, headers and line breaks meet in every way. */
const mimePieces = fc.constantFrom(
  '\r\n',
  '\n',
  '\r',
  '--a',
  '--a--',
  '--b',
  '--b--',
  ' ',
  'x',
  'text: y',
  'Content-Type: multipart/mixed; boundary=a\r\n',
  'Content-Type: multipart/digest; boundary=b\r\n',
  'Content-Type: message/rfc822\r\n',
  '\r\n\r\n',
  '\r\n--a\r\n',
  '\r\n--b\r\n',
  '\r\n--a--\r\n',
  'z'.repeat(1300),
)

describe('a message index', () => {
  it.each(MAILS)('of %s does not depend on the chunks', (name) => {
    const bytes = readFileSync(`${CASES}${name}`)
    const whole = scan([bytes])
    fc.assert(
      fc.property(fc.array(fc.nat(200), { maxLength: 40 }), (sizes) => {
        expect(scan(cut(bytes, sizes))).toEqual(whole)
      }),
      { numRuns: 20 },
    )
    expect(
      scan(
        cut(
          bytes,
          Array.from(bytes, () => 1),
        ),
      ),
    ).toEqual(whole)
  })

  it('of any bytes has nested ranges, all of the message, and the same leaves for any chunks', () => {
    const message = fc
      .array(mimePieces, { maxLength: 40 })
      .map((pieces) => Buffer.from(pieces.join(''), 'latin1'))
    fc.assert(
      fc.property(message, fc.array(fc.nat(30), { maxLength: 40 }), (bytes, sizes) => {
        const { index, leaves, ...rest } = scan([bytes])
        expect(scan(cut(bytes, sizes))).toEqual({ index, leaves, ...rest })
        expect(index.size).toBe(bytes.length)
        expect(index.structure.header.start).toBe(0)
        expect(index.structure.body.end).toBe(bytes.length)
        checkRanges(index.structure, bytes.length)
        const told = leaves.map((leaf) => leaf.slice(leaf.indexOf(':') + 1))
        const cutOut = leafParts(index.structure).map((part) =>
          bytes.toString('latin1', part.body.start, part.body.end),
        )
        // A multipart without parts becomes a text leaf only at its end: the listener never hears of it.
        if (told.length === cutOut.length) expect(told).toEqual(cutOut)
      }),
      { numRuns: 3000 },
    )
  })
})

import { describe, expect, it } from 'vitest'
import { indexMessage } from '../../src/mail/index-message.ts'
import type { BodyPart } from '../../src/mail/message-index.ts'
import { MAX_DEPTH, MAX_INDEXED_HEADER_BYTES, MAX_PARTS } from '../../src/mail/mime-split.ts'
import { chunked } from '../support/mail-files.ts'

const MIXED = 'Content-Type: multipart/mixed; boundary='

/** Hostile messages; each parser bug adds one. */
const HOSTILE: readonly (readonly [string, () => string])[] = [
  ['10,000 parts', () => `${MIXED}a\r\n\r\n${'--a\r\n\r\nx\r\n'.repeat(10_000)}--a--\r\n`],
  ['10,000 nested multiparts', () => nested(10_000)],
  ['10,000 nested messages', () => 'Content-Type: message/rfc822\r\n\r\n'.repeat(10_000)],
  ['a header line of 1 MiB', () => `Subject: ${'x'.repeat(1 << 20)}\r\n\r\nbody`],
  ['a folded field of 1 MiB', () => `Subject: x\r\n${' y\r\n'.repeat(1 << 18)}\r\nbody`],
  ['300,000 fields', () => `${'a:\r\n'.repeat(300_000)}\r\nbody`],
  ['300,000 lines that are no fields', () => `${'a\r\n'.repeat(300_000)}\r\nbody`],
  ['a flood of almost-delimiters', () => `${MIXED}a\r\n\r\n--a\r\n\r\n${'--b\r\n'.repeat(400_000)}`],
  ['almost-delimiters under 40 open boundaries', () => `${nested(40)}${'--b\r\n'.repeat(200_000)}`],
  [
    'a boundary of 100,000 octets',
    () => `${MIXED}${'a'.repeat(100_000)}\r\n\r\n--${'a'.repeat(100_000)}\r\n\r\nx`,
  ],
  [
    '900 parts with headers of 30 KiB',
    () => `${MIXED}a\r\n\r\n${`--a\r\nX: ${'y'.repeat(30_000)}\r\n\r\nx\r\n`.repeat(900)}`,
  ],
  ['100,000 parameters', () => `Content-Type: text/plain${'; a=b'.repeat(100_000)}\r\n\r\nx`],
  [
    '100,000 continuations',
    () =>
      `Content-Type: text/plain${Array.from({ length: 100_000 }, (_, n) => `; a*${n}=b`).join('')}\r\n\r\nx`,
  ],
  ['100,000 addresses', () => `To: ${'a@b, '.repeat(100_000)}\r\n\r\nx`],
  [
    'open brackets',
    () => `To: ${'<'.repeat(200_000)}\r\nCc: ${'('.repeat(200_000)}\r\nDate: ${'('.repeat(200_000)}\r\n\r\nx`,
  ],
  ['2 MiB without a line break', () => 'x'.repeat(2 << 20)],
  ['2 MiB of line feeds in the body', () => `\r\n${'\n'.repeat(2 << 20)}`],
  ['2 MiB of CR', () => `Subject: x${'\r'.repeat(2 << 20)}`],
  [
    'NULs everywhere',
    () => `Sub\0ject: x\0\r\nContent-Type: multipart/mixed; boundary=a\0\r\n\r\n--a\0\r\n\0\r\n\0--a--`,
  ],
]

function nested(depth: number): string {
  return Array.from({ length: depth }, (_, n) => `${MIXED}b${n}\r\n\r\n--b${n}\r\n`).join('')
}

function measure(part: BodyPart): { readonly parts: number; readonly depth: number } {
  const children = part.kind === 'multipart' ? part.parts : part.kind === 'message' ? [part.message] : []
  const measured = children.map(measure)
  return {
    parts: 1 + measured.reduce((sum, each) => sum + each.parts, 0),
    depth: 1 + Math.max(0, ...measured.map((each) => each.depth)),
  }
}

describe('a hostile message', () => {
  it.each(HOSTILE)('with %s has a small index, soon', async (_what, make) => {
    const bytes = Buffer.from(make(), 'latin1')
    const started = performance.now()
    const index = await indexMessage(chunked(bytes, 65_536))
    expect(performance.now() - started).toBeLessThan(3_000)
    expect(index.size).toBe(bytes.length)
    expect(index.structure.body.end).toBe(bytes.length)
    expect(index.headerBytes.length).toBeLessThanOrEqual(MAX_INDEXED_HEADER_BYTES)
    const { parts, depth } = measure(index.structure)
    expect(parts).toBeLessThanOrEqual(MAX_PARTS)
    expect(depth).toBeLessThanOrEqual(MAX_DEPTH)
    expect(JSON.stringify(index.structure).length).toBeLessThan(4 << 20)
  })

  it('keeps every octet in some part when there are too many parts', async () => {
    const bytes = Buffer.from(HOSTILE[0]?.[1]() ?? '', 'latin1')
    const { structure } = await indexMessage(chunked(bytes, 65_536))
    const last = structure.kind === 'multipart' ? structure.parts.at(-1) : undefined
    expect(bytes.toString('latin1', last?.body.start, last?.body.end)).toContain('--a\r\n\r\nx\r\n--a')
  })
})

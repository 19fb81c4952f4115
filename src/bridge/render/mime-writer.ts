import { createHash } from 'node:crypto'
import { encodeBase64Lines } from '../mime/byte-streams.ts'
import { BOUNDARY_PREFIX, encodeText } from './encode-text.ts'

/**
 * Writes MIME entities deterministically: same parts, same octets (design 8.6). ASCII only, CRLF, lines of at most 998
 * octets. Why not nodemailer's composer: docs/decisions/0003-own-mime-writer.md.
 */

/** An entity to write. Header values are complete and encoded already. */
export type MimePart =
  | { readonly kind: 'text'; readonly subtype: 'plain' | 'html'; readonly text: string }
  | {
      readonly kind: 'file'
      readonly mediaType: string
      /** Empty for an inline picture. */
      readonly fileName: string
      /** Without `<>`; makes it inline. */
      readonly contentId?: string
      readonly open: () => AsyncIterable<Uint8Array>
    }
  /** A whole message, header and body, itself written by this module. */
  | { readonly kind: 'message'; readonly fileName: string; readonly open: () => AsyncIterable<Uint8Array> }
  | {
      readonly kind: 'multipart'
      readonly subtype: 'mixed' | 'alternative' | 'related'
      readonly parts: readonly MimePart[]
    }

/** RFC 2045 6.8. */
const BASE64_LINE_CHARS = 76
/** Characters of one piece of a file name (RFC 2231 3), so that the line stays under 78. */
const NAME_PIECE_CHARS = 50

/**
 * Writes one entity with its MIME header. `seed` makes the boundaries: the same for the same message, different for
 * messages inside each other. No part can hold one: text with BOUNDARY_PREFIX is quoted-printable.
 */
export async function* writeEntity(part: MimePart, seed: string): AsyncGenerator<Uint8Array> {
  yield* writePart(part, { seed, count: 0 })
}

interface BoundarySource {
  readonly seed: string
  count: number
}

function nextBoundary(source: BoundarySource): string {
  source.count += 1
  const digest = createHash('sha256').update(`${source.seed}:${source.count}`).digest('hex')
  return `${BOUNDARY_PREFIX}${digest.slice(0, 32)}`
}

async function* writePart(part: MimePart, source: BoundarySource): AsyncGenerator<Uint8Array> {
  switch (part.kind) {
    case 'text': {
      const { encoding, body } = encodeText(part.text)
      const format = part.subtype === 'plain' ? '; format=fixed' : ''
      yield ascii(
        `Content-Type: text/${part.subtype}; charset=utf-8${format}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`,
      )
      break
    }
    case 'file':
      yield ascii(fileHeader(part))
      yield* encodeBase64Lines(part.open(), BASE64_LINE_CHARS)
      yield ascii('\r\n')
      break
    case 'message':
      yield ascii(
        `Content-Type: message/rfc822\r\nContent-Disposition: attachment${fileNameParameter(part.fileName)}\r\n\r\n`,
      )
      yield* part.open()
      break
    case 'multipart':
      yield* writeMultipart(part, source)
      break
  }
}

async function* writeMultipart(
  part: Extract<MimePart, { kind: 'multipart' }>,
  source: BoundarySource,
): AsyncGenerator<Uint8Array> {
  const boundary = nextBoundary(source)
  yield ascii(`Content-Type: multipart/${part.subtype};\r\n boundary="${boundary}"\r\n\r\n`)
  for (const child of part.parts) {
    yield ascii(`--${boundary}\r\n`)
    yield* writePart(child, source)
    yield ascii('\r\n')
  }
  yield ascii(`--${boundary}--\r\n`)
}

function fileHeader(part: Extract<MimePart, { kind: 'file' }>): string {
  const disposition = part.contentId === undefined ? 'attachment' : 'inline'
  const contentId = part.contentId === undefined ? '' : `Content-ID: <${part.contentId}>\r\n`
  const name = part.fileName === '' ? '' : fileNameParameter(part.fileName)
  return `Content-Type: ${part.mediaType}\r\nContent-Transfer-Encoding: base64\r\n${contentId}Content-Disposition: ${disposition}${name}\r\n\r\n`
}

/** `filename` as it is when short and ASCII, else in pieces (RFC 2231 3, 4). */
function fileNameParameter(name: string): string {
  if (/^[ -~]{1,60}$/.test(name)) return `;\r\n filename="${name.replace(/["\\]/g, '\\$&')}"`
  return rfc2231Pieces(name)
    .map((piece, index) => `;\r\n filename*${index}*=${index === 0 ? "utf-8''" : ''}${piece}`)
    .join('')
}

function rfc2231Pieces(name: string): readonly string[] {
  const pieces = ['']
  for (const octet of Buffer.from(name.toWellFormed(), 'utf8')) {
    const character = String.fromCharCode(octet)
    const next = /[A-Za-z0-9._-]/.test(character)
      ? character
      : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`
    const last = pieces.at(-1) ?? ''
    if (last.length + next.length > NAME_PIECE_CHARS) pieces.push(next)
    else pieces[pieces.length - 1] = last + next
  }
  return pieces
}

function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

/** Text as the body of a `text/*` part: CRLF, ASCII, lines of at most 998 octets. */
export interface EncodedText {
  readonly encoding: '7bit' | 'quoted-printable' | 'base64'
  /** Ends in CRLF unless empty. */
  readonly body: string
}

/** RFC 5322 2.1.1 without the CRLF. */
const MAX_LINE_OCTETS = 998
/** RFC 2045 6.7: an encoded line with its `=`. */
const MAX_ENCODED_CHARS = 76

/** Characters of text that is still readable in its source; longer text beyond ASCII becomes base64, which is cheap. */
const MAX_QUOTED_PRINTABLE_CHARS = 256 * 1024

/** Every boundary of ours begins so; quoted-printable and base64 cannot hold it. */
export const BOUNDARY_PREFIX = '=_cmb_'

/** Line ends become CRLF, NUL and lone surrogates U+FFFD; what is not plain ASCII is encoded. */
export function encodeText(text: string): EncodedText {
  const lines = text
    .toWellFormed()
    .replaceAll('\0', '\uFFFD')
    .split(/\r\n|\r|\n/)
  if (lines.at(-1) === '') lines.pop()
  if (lines.every(isPlainLine)) {
    return { encoding: '7bit', body: lines.map((line) => `${line}\r\n`).join('') }
  }
  if (text.length > MAX_QUOTED_PRINTABLE_CHARS) return { encoding: 'base64', body: base64(lines) }
  return { encoding: 'quoted-printable', body: lines.map((line) => `${quotedPrintable(line)}\r\n`).join('') }
}

function base64(lines: readonly string[]): string {
  const encoded = Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'utf8').toString('base64')
  return encoded.replace(/.{1,76}/g, '$&\r\n')
}

function isPlainLine(line: string): boolean {
  return line.length <= MAX_LINE_OCTETS && /^[\t -~]*$/.test(line) && !line.includes(BOUNDARY_PREFIX)
}

function quotedPrintable(line: string): string {
  const bytes = Buffer.from(line, 'utf8')
  const pieces: string[] = []
  let column = 0
  for (const [index, octet] of bytes.entries()) {
    const isLast = index === bytes.length - 1
    const piece = isLiteral(octet, isLast) ? String.fromCharCode(octet) : `=${hex(octet)}`
    // The last character of the line needs no room for a soft line break behind it.
    if (column + piece.length > (isLast ? MAX_ENCODED_CHARS : MAX_ENCODED_CHARS - 1)) {
      pieces.push('=\r\n')
      column = 0
    }
    pieces.push(piece)
    column += piece.length
  }
  return pieces.join('')
}

function isLiteral(octet: number, isLast: boolean): boolean {
  if (octet === 0x20 || octet === 0x09) return !isLast
  return octet > 0x20 && octet < 0x7f && octet !== 0x3d
}

function hex(octet: number): string {
  return octet.toString(16).toUpperCase().padStart(2, '0')
}

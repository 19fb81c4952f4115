import { isReservedLine, SIGNED_MESSAGE_BEGIN } from './block-text.ts'

/**
 * The frame of an OpenPGP clear-signature (CM wire 3.1, RFC 9580 7), taken apart by us, so that the text we read is
 * to the byte the text that was signed.
 */

const SIGNATURE_BEGIN = '-----BEGIN PGP SIGNATURE-----'
const SIGNATURE_END = '-----END PGP SIGNATURE-----'
/** Only Hash may stand above the text: other armor headers have been used to smuggle in unsigned lines. */
const HASH_HEADER = /^Hash: [A-Za-z0-9, -]+$/
/** What stands in a signature's armor; any other line there would be unsigned text (RFC 9580 6.2). */
const SIGNATURE_LINE = /^(?:(?:Version|Comment|Hash|Charset|MessageID): .*|[A-Za-z0-9+/=]*)[ \t]*$/

export interface ClearSigned {
  /** The text's lines as they stand in the block, still dash-escaped. */
  readonly escapedLines: readonly string[]
  /** The same without dash-escapes. */
  readonly lines: readonly string[]
  /** The armored signature, LF line ends. */
  readonly signature: string
}

export type ClearSignedResult =
  | { readonly kind: 'signed'; readonly signed: ClearSigned }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'malformed' }

/** `EndBlock` would pass for base64. */
function isSignatureLine(line: string): boolean {
  return SIGNATURE_LINE.test(line) && !isReservedLine(line)
}

function unescapeLine(line: string): string | undefined {
  if (!line.startsWith('-')) return line
  return line.startsWith('- ') ? line.slice(2) : undefined
}

/**
 * Reads exactly one clear-signed message from lines without CR. `unsigned` when no line opens one; `malformed` when
 * the frame is broken or anything but empty lines stands around it, since only the signed part may count.
 */
export function parseClearSigned(lines: readonly string[]): ClearSignedResult {
  const begin = lines.indexOf(SIGNED_MESSAGE_BEGIN)
  if (begin < 0) return { kind: 'unsigned' }
  const text = lines.indexOf('', begin)
  const signature = lines.indexOf(SIGNATURE_BEGIN, begin)
  const end = lines.indexOf(SIGNATURE_END, signature)
  if (text < 0 || signature < text || end < signature) return { kind: 'malformed' }
  const around = [...lines.slice(0, begin), ...lines.slice(end + 1)]
  if (around.some((line) => line.trim() !== '')) return { kind: 'malformed' }
  if (!lines.slice(begin + 1, text).every((line) => HASH_HEADER.test(line))) return { kind: 'malformed' }
  if (!lines.slice(signature + 1, end).every(isSignatureLine)) return { kind: 'malformed' }
  const escapedLines = lines.slice(text + 1, signature)
  const unescaped: string[] = []
  for (const line of escapedLines) {
    const plain = unescapeLine(line)
    if (plain === undefined) return { kind: 'malformed' }
    unescaped.push(plain)
  }
  const armor = `${lines.slice(signature, end + 1).join('\n')}\n`
  return { kind: 'signed', signed: { escapedLines, lines: unescaped, signature: armor } }
}

/** Looked for once a run: a long run of blanks that ends nothing must not be tried from each of them (S9). */
const TRAILING_BLANKS = /(?<![ \t])[ \t]+$/

/**
 * The text a signature covers: trailing blanks and tabs gone, LF between the lines and none after the last one
 * (CM wire 3.1); the signature itself is taken over CRLF.
 */
export function signedText(lines: readonly string[]): string {
  return lines.map((line) => line.replace(TRAILING_BLANKS, '')).join('\n')
}

/** Puts text and signature together as gpg prints them; `lines` are the text's lines, not escaped (CM wire 3.1). */
export function encodeClearSigned(lines: readonly string[], hashName: string, signature: string): string {
  const escaped = lines.map((line) => (line.startsWith('-') ? `- ${line}` : line))
  return [SIGNED_MESSAGE_BEGIN, `Hash: ${hashName}`, '', ...escaped, signature].join('\n')
}

/** RFC 9580 9.5: the names a `Hash` header uses. */
const HASH_NAMES = new Map([
  [8, 'SHA256'],
  [9, 'SHA384'],
  [10, 'SHA512'],
  [11, 'SHA224'],
])

/** The name for a `Hash` header of the hash algorithm id in a signature packet. */
export function hashName(algorithm: number | null | undefined): string {
  return HASH_NAMES.get(algorithm ?? 0) ?? 'SHA512'
}

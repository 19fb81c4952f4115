import { decodeCharset } from './charset.ts'

/** RFC 2047 2, with the language of RFC 2231 5. Blanks inside are forbidden there and written all the same. */
const ENCODED_WORD = /=\?([^?*\s]{1,80})(?:\*[^?\s]{0,80})?\?([bq])\?([^?\r\n]*)\?=/gi

interface Run {
  readonly charset: string
  readonly bytes: Buffer
}

/**
 * The text of a header value given as a byte string: encoded words decoded, blanks between two of them dropped
 * (RFC 2047 6.2). Words of one charset are joined before they are decoded, since senders cut inside characters
 * (case M06). Raw octets count as UTF-8 when they are valid, else Windows-1252. The result is one line without
 * control characters or lone surrogates.
 */
export function decodeHeaderText(byteText: string): string {
  const runs: Run[] = []
  let position = 0
  for (const match of byteText.matchAll(ENCODED_WORD)) {
    const between = byteText.slice(position, match.index)
    const follows = position > 0 && /^[ \t\r\n]*$/.test(between)
    if (!follows) addRun(runs, '', Buffer.from(between, 'latin1'))
    addRun(runs, (match[1] ?? '').toLowerCase(), decodeWord(match[2] ?? '', match[3] ?? ''))
    position = match.index + match[0].length
  }
  addRun(runs, '', Buffer.from(byteText.slice(position), 'latin1'))
  return singleLine(runs.map((run) => decodeCharset(run.bytes, run.charset)).join(''))
}

function addRun(runs: Run[], charset: string, bytes: Buffer): void {
  if (bytes.length === 0) return
  const last = runs.at(-1)
  if (last?.charset === charset && charset !== '') {
    runs[runs.length - 1] = { charset, bytes: Buffer.concat([last.bytes, bytes]) }
  } else runs.push({ charset, bytes })
}

function decodeWord(encoding: string, text: string): Buffer {
  if (encoding.toLowerCase() === 'b') return Buffer.from(text, 'base64')
  const bytes = text
    .replace(/_/g, ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1')
}

/** C0, DEL, C1 and the Unicode line separators: a run of them becomes one blank. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g

/** Text on one line: control characters and line separators become blanks, lone surrogates U+FFFD. */
export function singleLine(text: string): string {
  return text.toWellFormed().replace(CONTROLS, ' ')
}

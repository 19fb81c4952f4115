import type { CmAccountEntry } from './port.ts'

/** `userid SP authkey [SP date]`; the words are those LOGIN takes (CM wire 7.3, 7.7). */
const ACCOUNT_LINE = /^([0-9A-Za-z]{8,40}) ([0-9A-Za-z]{8,40})(?: \S+)?$/

/** An account file that cannot be read; the message names the line's number and never its content, which is a secret. */
export class AuthFileError extends Error {
  override readonly name = 'AuthFileError'
}

/**
 * Reads an account file in the reference's format: empty lines and `#` comments are passed over, of two lines for one
 * key the later one wins. Throws AuthFileError at the first line that is neither: a typing error must not open or
 * close an account unseen.
 */
export function parseAuthFile(text: string): readonly CmAccountEntry[] {
  const byKey = new Map<string, CmAccountEntry>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const match = ACCOUNT_LINE.exec(line)
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new AuthFileError(
        `line ${index + 1} is not "userid authkey [date]" (8 to 40 letters and digits each)`,
      )
    }
    byKey.set(match[2], { userId: match[1], authKey: match[2] })
  }
  return [...byKey.values()]
}

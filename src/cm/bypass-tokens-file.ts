import type { KeyId } from './ids.ts'
import { parseUtcTime } from './utc-time.ts'

/**
 * The reference client's `bypass_tokens.txt` (CM wire 6): `in|out,keyid,token,create,expire`, a comment first. It writes
 * odd lines, of which none costs a token here: dates that are the words of the comment, lines glued together where a
 * line feed was lost, upper-case tokens again and again (vectors 31 to 34). Dates are its local time with a Z.
 */

/** A secret of the file. */
export interface BypassTokenLine {
  /** `out` in the file: given to the key. `in`: received from it. */
  readonly direction: 'issued' | 'received'
  /** Lower case. */
  readonly keyId: KeyId
  /** 40 hex, lower case. */
  readonly secret: string
  /** CM date; undefined when the file does not say. */
  readonly created: string | undefined
  /** CM date, or `never`. */
  readonly expires: string
}

export interface BypassTokensFile {
  /** Each secret of a direction and key once, in the order of the file. */
  readonly tokens: readonly BypassTokenLine[]
  /** Numbers of the lines of which something could not be read. */
  readonly unreadableLines: readonly number[]
}

/** Octets of the file: some eight thousand tokens. */
export const MAX_BYPASS_TOKENS_BYTES = 1024 * 1024

const DATE = String.raw`\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z`
const TOKEN = new RegExp(
  `(in|out),([0-9a-f]{40}),([0-9a-f]{40}),(${DATE}|create_time),(${DATE}|never|expire_time)`,
  'gi',
)

/** Reads the file; throws nothing, whatever is in it. The caller bounds its size. */
export function parseBypassTokens(text: string): BypassTokensFile {
  const tokens = new Map<string, BypassTokenLine>()
  const unreadableLines: number[] = []
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const found = [...line.matchAll(TOKEN)].map(tokenOf)
    const isWhole = line.replace(TOKEN, '').trim() === '' && !found.includes(undefined)
    if (!isWhole) unreadableLines.push(index + 1)
    for (const token of found) {
      if (token === undefined) continue
      const key = `${token.direction} ${token.keyId} ${token.secret}`
      // One that comes again is the last one, as a look-up from the end of the file finds it.
      tokens.delete(key)
      tokens.set(key, token)
    }
  }
  return { tokens: [...tokens.values()], unreadableLines }
}

/** Undefined for a date that is none. */
function tokenOf(match: RegExpExecArray): BypassTokenLine | undefined {
  const [, direction = '', keyId = '', secret = '', created = '', expires = ''] = match
  const isDateOr = (word: string, text: string): boolean =>
    text.toLowerCase() === word || parseUtcTime(text) !== undefined
  if (!isDateOr('create_time', created) || !(isDateOr('expire_time', expires) || isDateOr('never', expires)))
    return undefined
  return {
    direction: direction.toLowerCase() === 'out' ? 'issued' : 'received',
    keyId: keyId.toLowerCase() as KeyId,
    secret: secret.toLowerCase(),
    created: created.toLowerCase() === 'create_time' ? undefined : created.toUpperCase(),
    expires: /^\d/.test(expires) ? expires.toUpperCase() : 'never',
  }
}

const COMMENT = '# in/out,keyid,tokenhash,create_time,expire_time'

/** The file as the reference reads it: no empty line, lower case, a line feed at the end. */
export function encodeBypassTokens(
  tokens: readonly (BypassTokenLine & { readonly created: string })[],
): string {
  const lines = tokens.map(({ direction, keyId, secret, created, expires }) =>
    [direction === 'issued' ? 'out' : 'in', keyId, secret, created, expires].join(','),
  )
  return `${[COMMENT, ...lines].join('\n')}\n`
}

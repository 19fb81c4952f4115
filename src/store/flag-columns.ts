import { type Flag, SYSTEM_FLAGS } from '../mail/flags.ts'

/** How flags lie in a row: system flags as bits in the order of SYSTEM_FLAGS, keywords as text. */
export interface FlagColumns {
  readonly systemFlags: number
  readonly keywords: readonly string[]
}

/** Keywords of one message: far above what any client sets; more are ignored, as RFC 9051 2.3.2 leaves to the server. */
export const MAX_KEYWORDS_PER_MESSAGE = 128
/** Keywords one mailbox learns, so that FLAGS stays one line of bounded length. */
export const MAX_KEYWORDS_PER_MAILBOX = 1000
/** Octets of one keyword. */
const MAX_KEYWORD_BYTES = 255

/** `\Deleted` in `system_flags`; the triggers of the schema use the same bit. */
export const DELETED_BIT = 4

/** RFC 9051 9: flag-keyword is an atom. */
const KEYWORD = /^[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~}]+$/

/** Splits flags; `\Recent`, unknown system flags and what is no atom are left out, spellings made ours, doubles dropped. */
export function toFlagColumns(flags: readonly Flag[]): FlagColumns {
  let systemFlags = 0
  const keywords = new Map<string, string>()
  for (const flag of flags) {
    const bit = SYSTEM_FLAGS.findIndex((known) => known.toLowerCase() === flag.toLowerCase())
    if (bit >= 0) systemFlags |= 1 << bit
    else if (KEYWORD.test(flag) && flag.length <= MAX_KEYWORD_BYTES && !keywords.has(flag.toLowerCase())) {
      keywords.set(flag.toLowerCase(), flag)
    }
  }
  return { systemFlags, keywords: [...keywords.values()].slice(0, MAX_KEYWORDS_PER_MESSAGE) }
}

/** System flags in the order of SYSTEM_FLAGS, then keywords in theirs. */
export function toFlags(systemFlags: number, keywords: string): Flag[] {
  const flags: Flag[] = SYSTEM_FLAGS.filter((_flag, bit) => (systemFlags & (1 << bit)) !== 0)
  if (keywords !== '') flags.push(...keywords.split(' '))
  return flags
}

/** What a STORE makes of a message's flags (RFC 9051 6.4.6). */
export function changeFlags(
  current: FlagColumns,
  mode: 'replace' | 'add' | 'remove',
  given: FlagColumns,
): FlagColumns {
  switch (mode) {
    case 'replace':
      return given
    case 'add':
      return {
        systemFlags: current.systemFlags | given.systemFlags,
        keywords: [
          ...current.keywords,
          ...given.keywords.filter((keyword) => !hasKeyword(current.keywords, keyword)),
        ].slice(0, MAX_KEYWORDS_PER_MESSAGE),
      }
    case 'remove':
      return {
        systemFlags: current.systemFlags & ~given.systemFlags,
        keywords: current.keywords.filter((keyword) => !hasKeyword(given.keywords, keyword)),
      }
  }
}

function hasKeyword(keywords: readonly string[], keyword: string): boolean {
  return keywords.some((known) => known.toLowerCase() === keyword.toLowerCase())
}

/** The separator of mailbox levels, on the wire and in the store. */
export const HIERARCHY_DELIMITER = '/'

/** INBOX in any case is one mailbox, as first level too; composed characters (RFC 9051 5.1). */
export function canonicalMailboxName(name: string): string {
  return name.normalize('NFC').replace(/^inbox(?=\/|$)/i, 'INBOX')
}

/** The names above one, the highest first: `a/b/c` gives `a`, `a/b`. */
export function superiorNames(name: string): readonly string[] {
  const levels = name.split(HIERARCHY_DELIMITER)
  return levels.slice(1).map((_level, index) => levels.slice(0, index + 1).join(HIERARCHY_DELIMITER))
}

/** INBOX first, then by code units. */
export function compareMailboxNames(a: string, b: string): number {
  if (a === b) return 0
  if (a === 'INBOX' || b === 'INBOX') return a === 'INBOX' ? -1 : 1
  return a < b ? -1 : 1
}

/**
 * A LIST pattern (RFC 9051 6.3.9): `*` matches anything, `%` anything but the delimiter, INBOX in any case. Takes
 * time in proportion to name × pattern, whatever wildcards are in it.
 */
export function matchesListPattern(name: string, pattern: string): boolean {
  if (matches(name, canonicalMailboxName(pattern))) return true
  return name === 'INBOX' && matches(name, pattern.toUpperCase())
}

function matches(name: string, pattern: string): boolean {
  /** Positions of the name at which the pattern read so far can end. */
  let ends = new Set([0])
  for (const char of pattern) {
    ends = isWildcard(char) ? spread(ends, name, char) : step(ends, name, char)
    if (ends.size === 0) return false
  }
  return ends.has(name.length)
}

function isWildcard(char: string): char is '*' | '%' {
  return char === '*' || char === '%'
}

function spread(ends: ReadonlySet<number>, name: string, wildcard: '*' | '%'): Set<number> {
  const result = new Set<number>()
  for (const start of ends) {
    for (let at = start; at <= name.length && !result.has(at); at += 1) {
      result.add(at)
      if (wildcard === '%' && name[at] === HIERARCHY_DELIMITER) break
    }
  }
  return result
}

function step(ends: ReadonlySet<number>, name: string, char: string): Set<number> {
  const result = new Set<number>()
  for (const at of ends) if (name.startsWith(char, at)) result.add(at + char.length)
  return result
}

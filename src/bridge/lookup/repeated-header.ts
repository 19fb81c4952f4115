import { parseHeaderLine } from '../../cm/block-text.ts'

/** Names that mean something in a key announcement or an address claim (CM wire 3.1, 4), lower case. */
const HEADER_NAMES = new Set([
  'type',
  'version',
  'date',
  'expires',
  'userid',
  'transport',
  'mailboxes',
  'senderproofofwork',
  'bypasstokenaccepted',
  'proofofwork',
  'keyid',
  'address',
])

const KEY_BEGIN = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
const KEY_END = '-----END PGP PUBLIC KEY BLOCK-----'

/**
 * The name, lower case, of a header that stands more than once in the signed lines; undefined when each stands once.
 * The key block has headers of its own.
 */
export function repeatedHeader(lines: readonly string[]): string | undefined {
  const seen = new Set<string>()
  const [begin, end] = [lines.indexOf(KEY_BEGIN), lines.indexOf(KEY_END)]
  for (const [index, line] of lines.entries()) {
    if (begin >= 0 && index >= begin && index <= end) continue
    const name = parseHeaderLine(line)?.name
    if (name === undefined || !HEADER_NAMES.has(name)) continue
    if (seen.has(name)) return name
    seen.add(name)
  }
  return undefined
}

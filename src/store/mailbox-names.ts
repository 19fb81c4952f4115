import type { SpecialUse } from '../imap/port.ts'

/** Mailbox names as the whole store sees them: Unicode in NFC, levels separated by `/`, INBOX in capitals. */

const HIERARCHY_SEPARATOR = '/'

/** Octets of UTF-8 of a whole name: fits a line of any client, and leaves room in quota and notices. */
const MAX_NAME_BYTES = 1000
/** Levels of a name. */
const MAX_NAME_LEVELS = 20
/** Mailboxes of one account, parents included: LIST answers them all. */
export const MAX_MAILBOXES = 10_000
/** Names one account can be subscribed to. */
export const MAX_SUBSCRIPTIONS = 10_000

export interface DefaultMailbox {
  readonly name: string
  readonly specialUse: SpecialUse | null
}

/** Made with the account; none of them can be deleted or renamed (INBOX: RFC 9051 6.3.6). Design 11. */
export const DEFAULT_MAILBOXES: readonly DefaultMailbox[] = [
  { name: 'INBOX', specialUse: null },
  { name: 'Drafts', specialUse: '\\Drafts' },
  { name: 'Sent', specialUse: '\\Sent' },
  { name: 'Archive', specialUse: '\\Archive' },
  { name: 'Junk', specialUse: '\\Junk' },
  { name: 'Trash', specialUse: '\\Trash' },
  { name: 'Outbox', specialUse: null },
  { name: 'Notices', specialUse: null },
]

export const INBOX = 'INBOX'
/** Lists queued messages (design 7.10); only the bridge puts messages there. */
export const OUTBOX = 'Outbox'

/** Why nothing can be stored into the Outbox by a client. */
export const OUTBOX_REASON = 'Outbox lists messages on their way; submit mail by SMTP to send it'

/** C0, DEL, C1 and the line separators (RFC 9051 5.1: Net-Unicode). */
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

export type NameOutcome =
  | { readonly kind: 'ok'; readonly name: string }
  | { readonly kind: 'refused'; readonly reason: string }

/** The name as it is stored, for looking it up: NFC, INBOX in capitals as first level, no separator at the end. */
export function normalizeName(given: string): string {
  const name = given.normalize('NFC').replace(/\/$/, '')
  return name.replace(/^inbox(?=\/|$)/i, INBOX)
}

/** The name as it would be stored, or why it cannot be one. A separator at the end only says that children follow (RFC 9051 6.3.4). */
export function validateName(given: string): NameOutcome {
  const name = normalizeName(given)
  const reason = refusal(name)
  return reason === undefined ? { kind: 'ok', name } : { kind: 'refused', reason }
}

function refusal(name: string): string | undefined {
  if (name === '') return 'a mailbox needs a name'
  if (!name.isWellFormed() || FORBIDDEN.test(name)) return 'the name has characters that cannot be shown'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `the name is longer than ${MAX_NAME_BYTES} octets`
  const levels = name.split(HIERARCHY_SEPARATOR)
  if (levels.some((level) => level === '')) return 'the name has an empty level'
  if (levels.length > MAX_NAME_LEVELS) return `the name has more than ${MAX_NAME_LEVELS} levels`
  return undefined
}

/** Names above it, the highest first: `a/b/c` gives `a`, `a/b`. */
export function parentNames(name: string): string[] {
  const levels = name.split(HIERARCHY_SEPARATOR)
  return levels.slice(1).map((_level, index) => levels.slice(0, index + 1).join(HIERARCHY_SEPARATOR))
}

/** True for the mailboxes every account has. */
export function isDefaultMailbox(name: string): boolean {
  return DEFAULT_MAILBOXES.some((mailbox) => mailbox.name === name)
}

/** True when `name` lies below `ancestor`. */
export function isBelow(name: string, ancestor: string): boolean {
  return name.startsWith(ancestor + HIERARCHY_SEPARATOR)
}

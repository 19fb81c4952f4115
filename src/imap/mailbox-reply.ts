import type { Tagged } from './command.ts'
import type { AppendOutcome, CopyOutcome, MailboxOutcome } from './port.ts'

type Refusal = Exclude<MailboxOutcome | AppendOutcome | CopyOutcome, { readonly kind: 'ok' }>

/** The tagged NO of an outcome that is no success. `missing` says whether CREATE would help (RFC 9051 6.3.12). */
export function refusalReply(outcome: Refusal, missing: 'NONEXISTENT' | 'TRYCREATE'): Tagged {
  switch (outcome.kind) {
    case 'no-such-mailbox':
      return { status: 'NO', code: { kind: missing }, text: 'No such mailbox' }
    case 'already-exists':
      return { status: 'NO', code: { kind: 'ALREADYEXISTS' }, text: 'Mailbox exists already' }
    case 'refused':
      return { status: 'NO', code: { kind: 'CANNOT' }, text: wireText(outcome.reason) }
    case 'limit':
      return { status: 'NO', code: { kind: 'LIMIT' }, text: wireText(outcome.reason) }
  }
}

/** The reply to CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE. */
export function mailboxReply(name: string, outcome: MailboxOutcome): Tagged {
  if (outcome.kind === 'ok') return { status: 'OK', text: `${name} completed` }
  return refusalReply(outcome, 'NONEXISTENT')
}

/** Reasons are for people and may hold any character; response text may not. */
function wireText(reason: string): string {
  return reason.replace(/[^\x20-\x7e]+/g, '?') || 'Refused'
}

import type { SelectedMailbox, Tagged } from './command.ts'
import type { ViewedMessage } from './mailbox-view.ts'
import { ImapReplyError } from './reply-error.ts'
import type { SequenceSet } from './sequence-set.ts'

/** The messages a command names; BAD for a sequence number past the last message (RFC 3501 9, seq-number). */
export function namedMessages(
  { view }: SelectedMailbox,
  set: SequenceSet,
  isUid: boolean,
): readonly ViewedMessage[] {
  if (isUid) return view.byUid(set)
  const messages = view.bySeqNum(set)
  if (messages === undefined) throw new ImapReplyError('BAD', 'No message has that sequence number')
  return messages
}

/** Refuses a change of a mailbox that EXAMINE opened. */
export function requireWritable({ isReadOnly }: SelectedMailbox): void {
  if (isReadOnly) throw new ImapReplyError('NO', 'Mailbox is open read-only', { kind: 'READ-ONLY' })
}

/**
 * The end of a command that some messages were missing from: removed by another session, which this one has not been
 * told. A command with sequence numbers says so (RFC 2180 4.1.3, RFC 5530 3); a UID that is gone is no error.
 */
export function completed(name: string, isUid: boolean, missing: number): Tagged {
  if (isUid || missing === 0) return { status: 'OK', text: `${isUid ? 'UID ' : ''}${name} completed` }
  return { status: 'NO', code: { kind: 'EXPUNGEISSUED' }, text: 'Some of the messages are no longer there' }
}

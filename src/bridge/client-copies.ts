import type { Uid } from '../imap/port.ts'
import { messageIdOf } from '../mail/message-id.ts'
import type { AccountId } from '../store/ids.ts'
import { findMailboxState, loadRecords } from '../store/mailbox-queries.ts'
import type { ReadConnection } from '../store/read-connection.ts'
import { SENT } from '../store/sent-copy.ts'
import { newestUids } from '../store/submission-queries.ts'

/** Newest messages of a mailbox that are looked at: a client's copy of what it submits lies among the last ones. */
const LOOKED_AT = 50

/** What the client itself stored of a message with that id (`messageIdOf`): drafts of it, and a Sent copy it made before submitting (design 7.10, 11). */
export function clientCopies(
  read: ReadConnection,
  accountId: AccountId,
  messageId: string | null,
): { readonly draftUids: readonly Uid[]; readonly sentUid: Uid | null } {
  if (messageId === null) return { draftUids: [], sentUid: null }
  const [sentUid] = newestWithId(read, { accountId, mailboxName: SENT, messageId })
  return {
    draftUids: newestWithId(read, { accountId, mailboxName: 'Drafts', messageId }),
    sentUid: sentUid ?? null,
  }
}

function newestWithId(
  read: ReadConnection,
  where: { readonly accountId: AccountId; readonly mailboxName: string; readonly messageId: string },
): Uid[] {
  const mailbox = findMailboxState(read, where.accountId, where.mailboxName)
  if (mailbox === undefined) return []
  return loadRecords(read, mailbox.id, newestUids(read, mailbox.id, LOOKED_AT))
    .filter(({ index }) => messageIdOf(index.envelope.messageId) === where.messageId)
    .map(({ uid }) => uid)
}

import type { Uid } from '../imap/port.ts'
import type { AccountId, MailboxId } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'

/** A submission whose Sent copy the client may still bring: since `sinceMs`, by Message-ID. */
export function submissionByMessageId(
  read: ReadConnection,
  accountId: AccountId,
  by: { readonly messageId: string; readonly sinceMs: number },
): number | undefined {
  return read.get<{ outbound_id: number }>(
    `SELECT outbound_id FROM submissions WHERE account_id = ? AND message_id = ? AND submitted_ms > ? AND sent_copy <> 'client'
     ORDER BY id DESC LIMIT 1`,
    accountId,
    by.messageId,
    by.sinceMs,
  )?.outbound_id
}

/** The same by content and login, for clients that give the copy another Message-ID or none. */
export function submissionByContent(
  read: ReadConnection,
  accountId: AccountId,
  by: { readonly contentDigest: string; readonly login: string; readonly sinceMs: number },
): number | undefined {
  return read.get<{ outbound_id: number }>(
    `SELECT outbound_id FROM submissions WHERE account_id = ? AND content_digest = ? AND login = ? AND submitted_ms > ?
       AND sent_copy <> 'client' AND message_id IS NULL ORDER BY id DESC LIMIT 1`,
    accountId,
    by.contentDigest,
    by.login,
    by.sinceMs,
  )?.outbound_id
}

/** The highest UIDs of a mailbox, at most `limit`, ascending: what came last, however large the mailbox is. */
export function newestUids(read: ReadConnection, mailboxId: MailboxId, limit: number): Uid[] {
  return read
    .all<{ readonly uid: Uid }>(
      'SELECT uid FROM messages WHERE mailbox_id = ? ORDER BY uid DESC LIMIT ?',
      mailboxId,
      limit,
    )
    .map(({ uid }) => uid)
    .reverse()
}

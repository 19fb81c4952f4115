import type { MessageDraft } from './blob-rows.ts'
import { doubtBypassSecret } from './bypass-operations.ts'
import type { AccountId } from './ids.ts'
import { INBOX } from './mailbox-names.ts'
import { findMailbox } from './mailbox-rows.ts'
import { insertMessage } from './message-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { scheduleReport } from './report-rows.ts'
import { type DueWork, endWork, holdsLease, type Lease } from './work-rows.ts'

/** Delivery reports into INBOX (RFC 3464) and messages into Notices: each told once. */

/** A message for the mailbox Notices; told once for each (kind, subject). */
export interface NoticeDraft {
  readonly kind: string
  /** What it is about: a key id, a `host:port`, an announcement id. */
  readonly subject: string
  readonly message: MessageDraft
}

/** Puts a notice into the mailbox unless it was told before. */
export function insertNotice(tx: WriteTransaction, accountId: AccountId, notice: NoticeDraft): void {
  const told = tx
    .sql('INSERT OR IGNORE INTO notices (account_id, kind, subject, told_ms) VALUES (?, ?, ?, ?)')
    .run(accountId, notice.kind, notice.subject, tx.nowMs)
  if (told.changes === 0) return
  const mailbox = findMailbox(tx, accountId, 'Notices')
  if (mailbox === undefined) throw new Error('the account has no Notices mailbox')
  insertMessage(tx, { mailbox, content: notice.message, flags: [], internalDateMs: tx.nowMs })
}

export const reportOperations = {
  /**
   * One report for the named recipients, who are marked as reported with it. The row of a delay report ends; any other
   * stays, because recipients with another end may wait for a report of theirs.
   */
  deliverReport(
    tx: WriteTransaction,
    args: {
      readonly lease: Lease
      readonly accountId: AccountId
      readonly message: MessageDraft
      readonly recipientIds: readonly number[]
      readonly isDelay: boolean
      readonly outboundId: number
    },
  ): 'done' | 'lease-lost' {
    if (!holdsLease(tx, args.lease)) return 'lease-lost'
    const mailbox = findMailbox(tx, args.accountId, INBOX)
    if (mailbox === undefined) throw new Error('the account has no INBOX')
    insertMessage(tx, { mailbox, content: args.message, flags: [], internalDateMs: tx.nowMs })
    if (args.isDelay) {
      tx.sql('UPDATE outbound_messages SET delay_reported_ms = ? WHERE id = ?').run(tx.nowMs, args.outboundId)
      endWork(tx, args.lease.row)
      return 'done'
    }
    for (const id of args.recipientIds) {
      tx.sql('UPDATE outbound_recipients SET reported_ms = ? WHERE id = ?').run(tx.nowMs, id)
    }
    return 'done'
  },

  /** Recipients whose acknowledgment never came: the sender is told that delivery is not confirmed (4.4.7, design 4). */
  expireUnconfirmed(tx: WriteTransaction, args: { readonly postedBeforeMs: number }): readonly DueWork[] {
    const rows = tx
      .sql(
        `UPDATE outbound_recipients SET state = 'unconfirmed' WHERE state = 'posted' AND posted_ms < ? RETURNING outbound_id, bypass_secret_id`,
      )
      .all(args.postedBeforeMs)
    for (const { bypass_secret_id: id } of rows) if (id !== null) doubtBypassSecret(tx, id as Uint8Array)
    const ids = [...new Set(rows.map((row) => Number(row.outbound_id)))]
    return ids.map((outboundId) => {
      const ended = tx
        .sql(
          `UPDATE outbound_messages SET state = CASE WHEN state = 'posted' AND NOT EXISTS
             (SELECT 1 FROM outbound_recipients WHERE outbound_id = ?1 AND state = 'posted') THEN 'done' ELSE state END
           WHERE id = ?1 RETURNING account_id`,
        )
        .get(outboundId)
      return scheduleReport(tx, Number(ended?.account_id), outboundId)
    })
  },

  /** Nothing is to be reported after all. */
  skipReport(tx: WriteTransaction, args: { readonly lease: Lease }): 'done' | 'lease-lost' {
    if (!holdsLease(tx, args.lease)) return 'lease-lost'
    endWork(tx, args.lease.row)
    return 'done'
  },

  deliverNotice(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly notice: NoticeDraft },
  ): void {
    insertNotice(tx, args.accountId, args.notice)
  },
}

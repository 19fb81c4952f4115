import type { Uid } from '../imap/port.ts'
import type { AccountId } from './ids.ts'
import { OUTBOX } from './mailbox-names.ts'
import { findMailbox, type MailboxRow } from './mailbox-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { showDelivery } from './sent-copy.ts'
import { endWork } from './work-rows.ts'

/** The Outbox shows what is on its way (design 7.10): one message of it per outbound message that is not finished. */

/** The work row of an outbound message. */
export function outboundRow(outboundId: number): string {
  return `om${outboundId}`
}

/** Where an outbound message stands in the Outbox. */
export interface OutboxPlace {
  readonly mailbox: MailboxRow
  readonly uid: Uid
}

export function outboxPlace(tx: WriteTransaction, outboundId: number): OutboxPlace | undefined {
  const row = tx.sql('SELECT account_id, outbox_uid FROM outbound_messages WHERE id = ?').get(outboundId)
  if (row === undefined || row.outbox_uid === null) return undefined
  const mailbox = findMailbox(tx, Number(row.account_id) as AccountId, OUTBOX)
  return mailbox === undefined ? undefined : { mailbox, uid: Number(row.outbox_uid) as Uid }
}

/** Takes note that an outbound message is out of the Outbox by our own doing, so that its removal is no cancel. */
export function forgetOutboxPlace(tx: WriteTransaction, outboundId: number): void {
  tx.sql('UPDATE outbound_messages SET outbox_uid = NULL WHERE id = ?').run(outboundId)
}

/** A client took messages out of the Outbox: what of them is not posted yet is never posted. */
export function cancelRemovedFromOutbox(
  tx: WriteTransaction,
  mailbox: MailboxRow,
  removed: readonly Uid[],
): void {
  if (mailbox.name !== OUTBOX) return
  for (const uid of removed) {
    const cancelled = tx
      .sql(
        `UPDATE outbound_messages SET outbox_uid = NULL, state = CASE WHEN state IN ('posted', 'done') THEN state ELSE 'cancelled' END
         WHERE account_id = ? AND outbox_uid = ? RETURNING id, state`,
      )
      .get(mailbox.accountId, uid)
    if (cancelled?.state !== 'cancelled') continue
    endWork(tx, outboundRow(Number(cancelled.id)))
    showDelivery(tx, Number(cancelled.id))
  }
}

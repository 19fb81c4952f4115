import type { Uid } from '../imap/port.ts'
import { CM_KEYWORDS, type Flag } from '../mail/flags.ts'
import type { AccountId } from './ids.ts'
import { findMailbox, type MailboxRow } from './mailbox-rows.ts'
import { changeMessageFlags } from './message-flag-rows.ts'
import type { WriteTransaction } from './operation.ts'

/** The mailbox that holds copies of sent mail (design 11). */
export const SENT = 'Sent'

/** Where the Sent copy of an outbound message stands; undefined while there is none. */
export function sentPlace(
  tx: WriteTransaction,
  outboundId: number,
): { readonly mailbox: MailboxRow; readonly uid: Uid } | undefined {
  const row = tx
    .sql('SELECT account_id, sent_uid FROM submissions WHERE outbound_id = ? AND sent_uid IS NOT NULL')
    .get(outboundId)
  if (row === undefined) return undefined
  const mailbox = findMailbox(tx, Number(row.account_id) as AccountId, SENT)
  return mailbox === undefined ? undefined : { mailbox, uid: Number(row.sent_uid) as Uid }
}

/**
 * Shows on the Sent copy whether every recipient acknowledged: `$CMPending` until then, `$CMDelivered` after, neither
 * for a message that was taken back (design 7.10). Call it after recipients, the state or the copy changed.
 */
export function showDelivery(tx: WriteTransaction, outboundId: number): void {
  const place = sentPlace(tx, outboundId)
  if (place === undefined) return
  const keyword = deliveryKeyword(tx, outboundId)
  changeMessageFlags(tx, place.mailbox, {
    uids: [place.uid],
    flags: keyword === undefined ? [] : [keyword],
    apply: (current, given) => ({
      systemFlags: current.systemFlags,
      keywords: [
        ...current.keywords.filter((word) => word !== CM_KEYWORDS.pending && word !== CM_KEYWORDS.delivered),
        ...given.keywords,
      ],
    }),
  })
}

function deliveryKeyword(tx: WriteTransaction, outboundId: number): Flag | undefined {
  const message = tx.sql('SELECT state FROM outbound_messages WHERE id = ?').get(outboundId)
  if (message?.state === 'cancelled') return undefined
  const open = tx
    .sql(`SELECT count(*) AS n FROM outbound_recipients WHERE outbound_id = ? AND state <> 'acknowledged'`)
    .get(outboundId)
  return Number(open?.n) === 0 ? CM_KEYWORDS.delivered : CM_KEYWORDS.pending
}

import type { Uid } from '../imap/port.ts'
import type { MailboxRow } from './mailbox-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { cancelRemovedFromOutbox } from './outbox-rows.ts'

/** Called in the transaction that removed the messages (expunge, move, deletion of the mailbox). */
type RemovalListener = (tx: WriteTransaction, mailbox: MailboxRow, removed: readonly Uid[]) => void

/**
 * Rules of other areas that must be durable together with a removal: taking a message out of the Outbox cancels its
 * sending (design 7.10). Run in this order; add here, not at the callers.
 */
const REMOVAL_LISTENERS: readonly RemovalListener[] = [cancelRemovedFromOutbox]

export function announceRemoval(tx: WriteTransaction, mailbox: MailboxRow, removed: readonly Uid[]): void {
  for (const listener of REMOVAL_LISTENERS) listener(tx, mailbox, removed)
}

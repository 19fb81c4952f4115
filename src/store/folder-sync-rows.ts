import type { AnnouncementId } from '../cm/ids.ts'
import type { Uid } from '../imap/port.ts'
import type { MessageDraft } from './blob-rows.ts'
import { keepBypassSecret, type NewBypassSecret } from './bypass-operations.ts'
import { changeFlags } from './flag-columns.ts'
import type { AccountId } from './ids.ts'
import { findMailbox } from './mailbox-rows.ts'
import { changeMessageFlags } from './message-flag-rows.ts'
import { copyMessages, deleteMessages, insertMessage } from './message-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { SENT } from './sent-copy.ts'

/** Mailboxes between which another client of the account may move mail: what it does elsewhere is its own affair. */
export type SyncedMailbox = 'INBOX' | 'Archive' | 'Trash'

/** What another client of the account did; about a message that is not here it says nothing (CM message 7.4). */
export type SyncedChange =
  | { readonly kind: 'seen' | 'unseen'; readonly announcementId: AnnouncementId }
  | { readonly kind: 'file'; readonly announcementId: AnnouncementId; readonly to: SyncedMailbox }
  | { readonly kind: 'token'; readonly secret: NewBypassSecret }

/** A message that another client of the account sent. */
export interface SyncedSentCopy {
  readonly message: MessageDraft
  readonly messageUniqueId: string
  readonly messageId: string
  /** Milliseconds since 1970. */
  readonly sentMs: number
}

/** Puts them into Sent, each once: its MessageUniqueId tells whether it is there. */
export function insertSentCopies(
  tx: WriteTransaction,
  accountId: AccountId,
  copies: readonly SyncedSentCopy[],
): void {
  const mailbox = findMailbox(tx, accountId, SENT)
  if (mailbox === undefined) return
  for (const { message, messageUniqueId, messageId, sentMs } of copies) {
    const { changes } = tx
      .sql('INSERT OR IGNORE INTO message_ids (account_id, message_unique_id, message_id) VALUES (?, ?, ?)')
      .run(accountId, messageUniqueId, messageId)
    if (changes === 0) continue
    insertMessage(tx, { mailbox, content: message, flags: ['\\Seen'], internalDateMs: sentMs })
  }
}

const SOURCES: Readonly<Record<SyncedMailbox, readonly SyncedMailbox[]>> = {
  Trash: ['INBOX', 'Archive'],
  Archive: ['INBOX', 'Trash'],
  INBOX: ['Archive', 'Trash'],
}

/** Applies changes in their order, as a mail program would: flags and moves, nothing is removed. Doing it again changes nothing. */
export function applySyncedChanges(
  tx: WriteTransaction,
  accountId: AccountId,
  changes: readonly SyncedChange[],
): void {
  for (const change of changes) {
    switch (change.kind) {
      case 'seen':
      case 'unseen':
        mark(tx, accountId, change)
        break
      case 'file':
        file(tx, accountId, change)
        break
      case 'token':
        keepBypassSecret(tx, accountId, change.secret)
        break
    }
  }
}

interface Place {
  readonly mailbox: string
  readonly uid: Uid
}

/** Everywhere the message lies: its copies share their bytes. */
function placesOf(tx: WriteTransaction, accountId: AccountId, announcementId: AnnouncementId): Place[] {
  return tx
    .sql(
      `SELECT mailboxes.name AS mailbox, messages.uid AS uid FROM inbound_announcements AS inbound
       JOIN messages ON messages.blob_id = inbound.blob_id JOIN mailboxes ON mailboxes.id = messages.mailbox_id
       WHERE inbound.account_id = ?1 AND inbound.announcement_id = ?2 AND inbound.state = 'delivered' AND mailboxes.account_id = ?1`,
    )
    .all(accountId, announcementId) as unknown as Place[]
}

function mark(
  tx: WriteTransaction,
  accountId: AccountId,
  change: Extract<SyncedChange, { readonly kind: 'seen' | 'unseen' }>,
): void {
  const mode = change.kind === 'seen' ? 'add' : 'remove'
  for (const { mailbox: name, uid } of placesOf(tx, accountId, change.announcementId)) {
    const mailbox = findMailbox(tx, accountId, name)
    if (mailbox === undefined) continue
    const apply = (current: Parameters<typeof changeFlags>[0], given: Parameters<typeof changeFlags>[2]) =>
      changeFlags(current, mode, given)
    changeMessageFlags(tx, mailbox, { uids: [uid], flags: ['\\Seen'], apply })
  }
}

function file(
  tx: WriteTransaction,
  accountId: AccountId,
  { announcementId, to: target }: Extract<SyncedChange, { readonly kind: 'file' }>,
): void {
  const to = findMailbox(tx, accountId, target)
  if (to === undefined) return
  for (const { mailbox: name, uid } of placesOf(tx, accountId, announcementId)) {
    if (!SOURCES[target].some((source) => source === name)) continue
    const from = findMailbox(tx, accountId, name)
    if (from === undefined) continue
    copyMessages(tx, { from, to, uids: [uid] })
    deleteMessages(tx, from, [uid])
  }
}

import type { Uid } from '../imap/port.ts'
import type { Flag } from '../mail/flags.ts'
import { type MessageDraft, releaseBlob, retainBlob, retainDraft } from './blob-rows.ts'
import { type FlagColumns, toFlagColumns, toFlags } from './flag-columns.ts'
import type { MailboxRow } from './mailbox-rows.ts'
import { type FlagRow, learnKeywords, nextModSeq } from './message-flag-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { announceRemoval } from './removal-listeners.ts'

/** Rows of `messages` inside the writer: the only place that gives out UIDs and MODSEQs. */

export interface NewMessage {
  readonly mailbox: MailboxRow
  /** New bytes, or the id of a blob that is in the store already. */
  readonly content: MessageDraft | { readonly storedBlobId: Uint8Array; readonly sizeBytes: number }
  readonly flags: readonly Flag[]
  readonly internalDateMs: number
}

/** Puts a message into a mailbox and announces it; the caller's own rows change in the same transaction. */
export function insertMessage(tx: WriteTransaction, message: NewMessage): Uid {
  const { mailbox, content } = message
  if ('blob' in content) retainDraft(tx, content.blob, content)
  else retainBlob(tx, content.storedBlobId)
  const flags = learnKeywords(tx, mailbox.id, toFlagColumns(message.flags))
  return insertRow(tx, mailbox, {
    flags,
    internalDateMs: message.internalDateMs,
    size: 'blob' in content ? content.blob.sizeBytes : content.sizeBytes,
    blobId: 'blob' in content ? content.blob.id : content.storedBlobId,
  })
}

interface MessageValues {
  readonly flags: FlagColumns
  readonly internalDateMs: number
  readonly size: number
  readonly blobId: Uint8Array
}

function insertRow(tx: WriteTransaction, mailbox: MailboxRow, values: MessageValues): Uid {
  const numbers = tx
    .sql(
      `UPDATE mailboxes SET uid_next = uid_next + 1, highest_modseq = highest_modseq + 1 WHERE id = ?
       RETURNING uid_next - 1 AS uid, highest_modseq AS modseq`,
    )
    .get(mailbox.id)
  if (numbers === undefined) throw new Error('no such mailbox')
  const uid = Number(numbers.uid) as Uid
  const modSeq = Number(numbers.modseq)
  const keywords = values.flags.keywords.join(' ')
  tx.sql(
    `INSERT INTO messages (mailbox_id, uid, modseq, system_flags, keywords, internal_date_ms, size, blob_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    mailbox.id,
    uid,
    modSeq,
    values.flags.systemFlags,
    keywords,
    values.internalDateMs,
    values.size,
    values.blobId,
  )
  const flags = toFlags(values.flags.systemFlags, keywords)
  tx.change(mailbox.accountId, mailbox.id, { kind: 'added', message: { uid, modSeq, flags } })
  return uid
}

interface StoredRow extends FlagRow {
  readonly internal_date_ms: number
  readonly size: number
  readonly blob_id: Uint8Array
}

const SELECT_STORED = `SELECT uid, modseq, system_flags, keywords, internal_date_ms, size, blob_id FROM messages
  WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid`

/** Copies with flags, keywords and internal date (RFC 9051 6.4.7), in the order of the UIDs; bytes are shared. */
export function copyMessages(
  tx: WriteTransaction,
  options: { readonly from: MailboxRow; readonly to: MailboxRow; readonly uids: readonly Uid[] },
): { readonly from: Uid; readonly to: Uid }[] {
  const rows = tx
    .sql(SELECT_STORED)
    .all(options.from.id, JSON.stringify(options.uids)) as unknown as StoredRow[]
  return rows.map((row) => {
    retainBlob(tx, row.blob_id)
    const keywords = row.keywords === '' ? [] : row.keywords.split(' ')
    const to = insertRow(tx, options.to, {
      flags: learnKeywords(tx, options.to.id, { systemFlags: row.system_flags, keywords }),
      internalDateMs: row.internal_date_ms,
      size: row.size,
      blobId: row.blob_id,
    })
    return { from: row.uid as Uid, to }
  })
}

/** Removes those of the UIDs that are there and announces them; returns the removed, ascending. */
export function deleteMessages(tx: WriteTransaction, mailbox: MailboxRow, uids: readonly Uid[]): Uid[] {
  const rows = tx.sql(SELECT_STORED).all(mailbox.id, JSON.stringify(uids)) as unknown as StoredRow[]
  if (rows.length === 0) return []
  const modSeq = nextModSeq(tx, mailbox.id)
  for (const row of rows) {
    tx.sql('DELETE FROM messages WHERE mailbox_id = ? AND uid = ?').run(mailbox.id, row.uid)
    tx.sql('INSERT INTO expunged_messages (mailbox_id, uid, modseq, blob_id) VALUES (?, ?, ?, ?)').run(
      mailbox.id,
      row.uid,
      modSeq,
      row.blob_id,
    )
    releaseBlob(tx, row.blob_id)
    tx.change(mailbox.accountId, mailbox.id, { kind: 'expunged', uid: row.uid as Uid, modSeq })
  }
  const removed = rows.map((row) => row.uid as Uid)
  announceRemoval(tx, mailbox, removed)
  return removed
}

/** Every UID of the mailbox, ascending. */
export function allUids(tx: WriteTransaction, mailbox: MailboxRow): Uid[] {
  const rows = tx.sql('SELECT uid FROM messages WHERE mailbox_id = ? ORDER BY uid').all(mailbox.id)
  return rows.map((row) => Number(row.uid) as Uid)
}

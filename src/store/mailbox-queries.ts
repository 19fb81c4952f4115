import type {
  MailboxInfo,
  MailboxStatus,
  MessageRecord,
  MessageSummary,
  SpecialUse,
  Uid,
} from '../imap/port.ts'
import { type Flag, SYSTEM_FLAGS } from '../mail/flags.ts'
import { toFlags } from './flag-columns.ts'
import type { AccountId, MailboxId } from './ids.ts'
import { normalizeName } from './mailbox-names.ts'
import { openIndex } from './message-index-columns.ts'
import type { ReadConnection } from './read-connection.ts'

/** A selectable mailbox with its numbers. */
export interface MailboxState extends MailboxStatus {
  readonly id: MailboxId
  readonly name: string
}

interface MailboxStateRow {
  readonly id: number
  readonly name: string
  readonly uid_validity: number
  readonly uid_next: number
  readonly highest_modseq: number
  readonly message_count: number
  readonly unseen_count: number
  readonly deleted_count: number
  readonly total_size: number
}

/** The selectable mailbox of that name, or undefined. */
export function findMailboxState(
  read: ReadConnection,
  accountId: AccountId,
  name: string,
): MailboxState | undefined {
  const row = read.get<MailboxStateRow>(
    `SELECT id, name, uid_validity, uid_next, highest_modseq, message_count, unseen_count, deleted_count, total_size
     FROM mailboxes WHERE account_id = ? AND name = ? AND selectable = 1`,
    accountId,
    normalizeName(name),
  )
  if (row === undefined) return undefined
  return {
    id: row.id as MailboxId,
    name: row.name,
    messages: row.message_count,
    unseen: row.unseen_count,
    deleted: row.deleted_count,
    size: row.total_size,
    uidNext: row.uid_next,
    uidValidity: row.uid_validity,
    highestModSeq: row.highest_modseq,
  }
}

/** All names of the account, parents included, by name. */
export function listMailboxes(read: ReadConnection, accountId: AccountId): MailboxInfo[] {
  const rows = read.all<{
    name: string
    special_use: SpecialUse | null
    selectable: number
    subscribed: number
  }>(
    `SELECT name, special_use, selectable,
       EXISTS (SELECT 1 FROM subscriptions WHERE subscriptions.account_id = mailboxes.account_id
         AND subscriptions.name = mailboxes.name) AS subscribed
     FROM mailboxes WHERE account_id = ? ORDER BY name`,
    accountId,
  )
  return rows.map((row) => ({
    name: row.name,
    specialUse: row.special_use,
    subscribed: row.subscribed === 1,
    selectable: row.selectable === 1,
  }))
}

/** Subscribed names, whether they exist or not, by name. */
export function listSubscriptions(read: ReadConnection, accountId: AccountId): string[] {
  const rows = read.all<{ name: string }>(
    'SELECT name FROM subscriptions WHERE account_id = ? ORDER BY name',
    accountId,
  )
  return rows.map((row) => row.name)
}

interface SummaryRow {
  readonly uid: number
  readonly modseq: number
  readonly system_flags: number
  readonly keywords: string
}

function toSummary(row: SummaryRow): MessageSummary {
  return { uid: row.uid as Uid, modSeq: row.modseq, flags: toFlags(row.system_flags, row.keywords) }
}

/** Every message of a mailbox, ascending. */
export function listSummaries(read: ReadConnection, mailboxId: MailboxId): MessageSummary[] {
  return read
    .all<SummaryRow>(
      'SELECT uid, modseq, system_flags, keywords FROM messages WHERE mailbox_id = ? ORDER BY uid',
      mailboxId,
    )
    .map(toSummary)
}

/** System flags, and the keywords the mailbox ever had. */
export function listKnownFlags(read: ReadConnection, mailboxId: MailboxId): Flag[] {
  const rows = read.all<{ keyword: string }>(
    'SELECT keyword FROM mailbox_keywords WHERE mailbox_id = ? ORDER BY keyword',
    mailboxId,
  )
  return [...SYSTEM_FLAGS, ...rows.map((row) => row.keyword)]
}

interface RecordRow extends SummaryRow {
  readonly internal_date_ms: number
  readonly size: number
  readonly blob_id: Uint8Array
  readonly account_id: number
  readonly sealed_index: Uint8Array | null
  readonly sealed_header: Uint8Array | null
}

/** Records of those of the UIDs that are there, ascending. Give it short lists: each may bring a whole header. */
export function loadRecords(
  read: ReadConnection,
  mailboxId: MailboxId,
  uids: readonly Uid[],
): MessageRecord[] {
  const rows = read.all<RecordRow>(
    `SELECT uid, modseq, system_flags, keywords, internal_date_ms, messages.size AS size, blob_id,
       account_id, sealed_index, sealed_header
     FROM messages JOIN blobs ON blobs.id = messages.blob_id
     WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid`,
    mailboxId,
    JSON.stringify(uids),
  )
  return rows.map(toRecord)
}

function toRecord(row: RecordRow): MessageRecord {
  const { account_id, blob_id, size, sealed_index, sealed_header } = row
  if (sealed_index === null || sealed_header === null) throw new Error('a message without an index')
  const index = openIndex({
    accountId: account_id,
    blobId: blob_id,
    size,
    sealedIndex: sealed_index,
    sealedHeader: sealed_header,
  })
  return { ...toSummary(row), internalDate: new Date(row.internal_date_ms), index }
}

/** The blob of a message, also of one that was removed a short while ago. */
export function findMessageBlob(
  read: ReadConnection,
  mailboxId: MailboxId,
  uid: Uid,
): Uint8Array | undefined {
  const row = read.get<{ blob_id: Uint8Array }>(
    `SELECT blob_id FROM messages WHERE mailbox_id = ?1 AND uid = ?2
     UNION ALL SELECT blob_id FROM expunged_messages WHERE mailbox_id = ?1 AND uid = ?2 LIMIT 1`,
    mailboxId,
    uid,
  )
  return row?.blob_id
}

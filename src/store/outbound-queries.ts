import type { AcknowledgmentId, BlockKey, KeyId } from '../cm/ids.ts'
import type { AccountId } from './ids.ts'
import type { OutboundState, RecipientState } from './outbound-operations.ts'
import type { ReadConnection } from './read-connection.ts'

/** Reads of outbound messages; rows become the types of the bridge here and nowhere else. */

export interface OutboundMessage {
  readonly id: number
  readonly accountId: AccountId
  readonly state: OutboundState
  readonly blobId: Uint8Array
  readonly messageId: string | null
  /** 40 hex digits, the same in all copies. */
  readonly messageUniqueId: string
  /** False for MAIL FROM:<>: nothing is ever reported on it. */
  readonly reportable: boolean
  readonly returnContent: 'full' | 'headers' | null
  readonly envelopeId: string | null
  readonly acceptedMs: number
  /** Not before this time (design 7.11); null: at once. */
  readonly releaseMs: number | null
  /** From when on a delay counts: accepted, or released when that is later. */
  readonly dueMs: number
  readonly delayReportedMs: number | null
}

export interface OutboundRecipient {
  readonly id: number
  readonly field: 'to' | 'cc' | 'bcc'
  readonly address: string
  readonly keyId: KeyId | null
  readonly pinned: boolean
  readonly state: RecipientState
  readonly notify: readonly string[]
  readonly originalRecipient: string | null
  readonly copyId: number | null
  readonly postedMs: number | null
  readonly acknowledgedMs: number | null
  readonly statusCode: string | null
  readonly diagnostic: string | null
  readonly reportedMs: number | null
}

interface MessageRow {
  readonly id: number
  readonly account_id: AccountId
  readonly state: OutboundState
  readonly blob_id: Uint8Array
  readonly message_id: string | null
  readonly message_unique_id: string
  readonly reportable: number
  readonly return_content: 'full' | 'headers' | null
  readonly envelope_id: string | null
  readonly accepted_ms: number
  readonly release_ms: number | null
  readonly delay_reported_ms: number | null
}

function toMessage(row: MessageRow): OutboundMessage {
  return {
    id: row.id,
    accountId: row.account_id,
    state: row.state,
    blobId: row.blob_id,
    messageId: row.message_id,
    messageUniqueId: row.message_unique_id,
    reportable: row.reportable === 1,
    returnContent: row.return_content,
    envelopeId: row.envelope_id,
    acceptedMs: row.accepted_ms,
    releaseMs: row.release_ms,
    dueMs: Math.max(row.accepted_ms, row.release_ms ?? 0),
    delayReportedMs: row.delay_reported_ms,
  }
}

/** One outbound message; undefined when it was deleted with its account. */
export function outboundMessage(read: ReadConnection, outboundId: number): OutboundMessage | undefined {
  const row = read.get<MessageRow>('SELECT * FROM outbound_messages WHERE id = ?', outboundId)
  return row === undefined ? undefined : toMessage(row)
}

interface RecipientRow {
  readonly id: number
  readonly field: 'to' | 'cc' | 'bcc'
  readonly address: string
  readonly key_id: KeyId | null
  readonly pinned: number
  readonly state: RecipientState
  readonly notify: string
  readonly original_recipient: string | null
  readonly copy_id: number | null
  readonly posted_ms: number | null
  readonly acknowledged_ms: number | null
  readonly status_code: string | null
  readonly diagnostic: string | null
  readonly reported_ms: number | null
}

/** The recipients of a message in the order of the envelope. */
export function outboundRecipients(read: ReadConnection, outboundId: number): OutboundRecipient[] {
  const rows = read.all<RecipientRow>(
    'SELECT * FROM outbound_recipients WHERE outbound_id = ? ORDER BY id',
    outboundId,
  )
  return rows.map((row) => ({
    id: row.id,
    field: row.field,
    address: row.address,
    keyId: row.key_id,
    pinned: row.pinned === 1,
    state: row.state,
    notify: row.notify === '' ? [] : row.notify.split(','),
    originalRecipient: row.original_recipient,
    copyId: row.copy_id,
    postedMs: row.posted_ms,
    acknowledgedMs: row.acknowledged_ms,
    statusCode: row.status_code,
    diagnostic: row.diagnostic,
    reportedMs: row.reported_ms,
  }))
}

/** A block that one target has not taken yet. */
export interface UnpostedBlock {
  readonly id: number
  readonly type: 'data' | 'message-announcement' | 'acknowledgment'
  readonly key: BlockKey
  readonly target: string
  readonly text: string
  readonly createdMs: number
  /** Data blocks: file name below the outbound directory and the range of the payload in it. */
  readonly payload: { readonly file: string; readonly start: number; readonly bytes: number } | null
  readonly recipientId: number | null
}

interface BlockRow {
  readonly id: number
  readonly type: 'data' | 'message-announcement' | 'acknowledgment'
  readonly block_key: BlockKey
  readonly target: string
  readonly text: string
  readonly created_ms: number
  readonly payload_start: number | null
  readonly payload_bytes: number | null
  readonly recipient_id: number | null
  readonly file: string | null
}

function toBlock(row: BlockRow): UnpostedBlock {
  const { file, payload_start: start, payload_bytes: bytes } = row
  return {
    id: row.id,
    type: row.type,
    key: row.block_key,
    target: row.target,
    text: row.text,
    createdMs: row.created_ms,
    payload: file === null || start === null || bytes === null ? null : { file, start, bytes },
    recipientId: row.recipient_id,
  }
}

/** What is left to post of a message: per target, data blocks before announcements (CM wire 8.5). */
export function unpostedBlocks(read: ReadConnection, outboundId: number): UnpostedBlock[] {
  const rows = read.all<BlockRow>(
    `SELECT outbound_blocks.*, outbound_copies.file FROM outbound_blocks JOIN outbound_copies ON copy_id = outbound_copies.id
     WHERE outbound_copies.outbound_id = ? AND outbound_blocks.posted_ms IS NULL
     ORDER BY target, outbound_blocks.type = 'message-announcement', outbound_blocks.id`,
    outboundId,
  )
  return rows.map(toBlock)
}

/** One acknowledgment block that waits to be posted. */
export function acknowledgmentBlock(read: ReadConnection, blockId: number): UnpostedBlock | undefined {
  const row = read.get<BlockRow>(
    `SELECT *, NULL AS file FROM outbound_blocks WHERE id = ? AND type = 'acknowledgment' AND posted_ms IS NULL`,
    blockId,
  )
  return row === undefined ? undefined : toBlock(row)
}

/**
 * Acknowledgments an account waits for, at most `limit`, whichever they are, so that many that never come hide none
 * that do.
 */
export function openAcknowledgments(
  read: ReadConnection,
  accountId: AccountId,
  limit: number,
): { readonly id: AcknowledgmentId; readonly postedMs: number }[] {
  const rows = read.all<{ readonly acknowledgment_id: AcknowledgmentId; readonly posted_ms: number }>(
    `SELECT acknowledgment_id, outbound_recipients.posted_ms FROM outbound_recipients
     JOIN outbound_messages ON outbound_id = outbound_messages.id
     WHERE account_id = ? AND outbound_recipients.state = 'posted' AND acknowledgment_id IS NOT NULL
     ORDER BY random() LIMIT ?`,
    accountId,
    limit,
  )
  return rows.map((row) => ({ id: row.acknowledgment_id, postedMs: row.posted_ms }))
}

/** Names of the ciphertext files that rows still need; the rest of the directory is swept at start. */
export function neededCiphertextFiles(read: ReadConnection): string[] {
  return read
    .all<{ readonly file: string }>(
      `SELECT DISTINCT file FROM outbound_copies JOIN outbound_blocks ON copy_id = outbound_copies.id
       JOIN outbound_messages ON outbound_id = outbound_messages.id
       WHERE outbound_blocks.posted_ms IS NULL AND outbound_messages.state NOT IN ('posted', 'done', 'cancelled')`,
    )
    .map((row) => row.file)
}

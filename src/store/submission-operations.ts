import type { KeyId } from '../cm/ids.ts'
import type { AppendOutcome, Uid } from '../imap/port.ts'
import { CM_KEYWORDS, type Flag } from '../mail/flags.ts'
import { type MessageDraft, releaseBlob, retainBlob } from './blob-rows.ts'
import { type ContactRecord, pinContact, upsertContact } from './contact-operations.ts'
import type { AccountId } from './ids.ts'
import { OUTBOX } from './mailbox-names.ts'
import { findMailbox } from './mailbox-rows.ts'
import { deleteMessages, insertMessage } from './message-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { outboundRow } from './outbox-rows.ts'
import { SENT, sentPlace, showDelivery } from './sent-copy.ts'
import { type DueWork, endWork, holdsLease, type Lease, scheduleWork } from './work-rows.ts'

/** Milliseconds in which the same submission again is the same message (design 7.5, case S03): phones try for a day. */
export const RESUBMISSION_WINDOW_MS = 24 * 60 * 60 * 1000
/** How long the client's own copy is waited for before ours is made (design 7.10). */
const SENT_COPY_DELAY_MS = 30 * 1000
/** Submissions of a login without a copy of its own after which ours is made at once (design 7.10). */
const LEARN_NO_COPY_AFTER = 3

export interface SubmittedRecipient {
  readonly field: 'to' | 'cc' | 'bcc'
  readonly address: string
  /** Known already, or null: resolved later. */
  readonly keyId: KeyId | null
  readonly pinned: boolean
  readonly notify: readonly string[]
  readonly originalRecipient: string | null
}

export interface SubmittedMessage {
  readonly accountId: AccountId
  /** The app password it came with. */
  readonly login: string
  readonly message: MessageDraft
  readonly messageId: string | null
  /** 40 hex digits. */
  readonly messageUniqueId: string
  /** Digest of the set of recipients, whatever their order. */
  readonly recipientsDigest: string
  readonly contentDigest: string
  readonly reportable: boolean
  readonly returnContent: 'full' | 'headers' | null
  readonly envelopeId: string | null
  /** Not before this time, milliseconds (design 7.11); null: at once. */
  readonly releaseMs: number | null
  /** When the work on it begins, milliseconds: up to then it can be taken out of the Outbox as if never sent. */
  readonly beginsMs: number
  readonly recipients: readonly SubmittedRecipient[]
  /** Keys found while the transaction went on; pinned with it, never without it. */
  readonly contacts: readonly ContactRecord[]
  /** Copies of the same Message-ID the client put into Drafts (removed) and Sent (taken as the Sent copy). */
  readonly draftUids: readonly Uid[]
  readonly sentUid: Uid | null
}

export type SubmitOutcome =
  | { readonly kind: 'accepted'; readonly outboundId: number; readonly due: readonly DueWork[] }
  | { readonly kind: 'already-queued'; readonly outboundId: number }

/** The work row that makes the Sent copy of an outbound message. */
function sentRow(outboundId: number): string {
  return `sent${outboundId}`
}

export const submissionOperations = {
  /** Everything behind the 250: bytes, recipients, first pins, the Outbox entry and the work that follows, in one commit. */
  acceptSubmission(tx: WriteTransaction, args: SubmittedMessage): SubmitOutcome {
    const earlier = findEarlier(tx, args)
    if (earlier !== undefined) return { kind: 'already-queued', outboundId: earlier }
    const outbox = findMailbox(tx, args.accountId, OUTBOX)
    if (outbox === undefined) throw new Error('the account has no Outbox')
    for (const contact of args.contacts) upsertContact(tx, args.accountId, contact)
    const delayMs = Math.max(0, args.beginsMs - tx.nowMs)
    const uid = insertMessage(tx, {
      mailbox: outbox,
      content: args.message,
      flags: ['\\Seen', delayMs > 0 ? CM_KEYWORDS.held : CM_KEYWORDS.lookup],
      internalDateMs: tx.nowMs,
    })
    const outboundId = insertOutbound(tx, args, uid)
    // The message is needed after it left the Outbox: for encoding, reports and the Sent copy.
    retainBlob(tx, args.message.blob.id)
    removeDrafts(tx, args)
    const due = [
      scheduleWork(tx, {
        row: outboundRow(outboundId),
        accountId: args.accountId,
        stage: 'resolve',
        delayMs,
      }),
    ]
    if (args.sentUid === null) {
      const copyDelayMs = savesNoCopies(tx, args) ? 0 : SENT_COPY_DELAY_MS
      due.push(
        scheduleWork(tx, {
          row: sentRow(outboundId),
          accountId: args.accountId,
          stage: 'sentcopy',
          // A message that is held is not sent: until its time it stands in the Outbox alone, where it can be cancelled.
          delayMs: copyDelayMs + delayMs,
        }),
      )
    } else {
      showDelivery(tx, outboundId)
    }
    return { kind: 'accepted', outboundId, due }
  },

  /** Makes our Sent copy, unless the client's came meanwhile (`clientUid`: where it was found in Sent, or null). */
  makeSentCopy(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly outboundId: number; readonly clientUid: Uid | null },
  ): 'done' | 'lease-lost' {
    if (!holdsLease(tx, args.lease)) return 'lease-lost'
    const row = tx
      .sql(
        `SELECT submissions.id, submissions.account_id, blob_id, blobs.size FROM submissions
         JOIN outbound_messages ON outbound_id = outbound_messages.id JOIN blobs ON blobs.id = blob_id
         WHERE outbound_id = ? AND sent_copy = 'waiting' AND state <> 'cancelled'`,
      )
      .get(args.outboundId)
    const sent = row === undefined ? undefined : findMailbox(tx, Number(row.account_id), SENT)
    if (row !== undefined && sent !== undefined) {
      const ours = () =>
        insertMessage(tx, {
          mailbox: sent,
          content: { storedBlobId: row.blob_id as Uint8Array, sizeBytes: Number(row.size) },
          flags: ['\\Seen'],
          internalDateMs: tx.nowMs,
        })
      tx.sql('UPDATE submissions SET sent_copy = ?, sent_uid = ? WHERE id = ?').run(
        args.clientUid === null ? 'ours' : 'client',
        args.clientUid ?? ours(),
        Number(row.id),
      )
      showDelivery(tx, args.outboundId)
    }
    endWork(tx, args.lease.row)
    return 'done'
  },

  /**
   * The client puts its own copy into Sent: it stays, because it has the Bcc; ours goes (design 7.10). `outboundId` is
   * the submission with the same Message-ID, or the same content from the same login.
   */
  appendSentCopy(
    tx: WriteTransaction,
    args: {
      readonly accountId: AccountId
      readonly outboundId: number
      readonly message: MessageDraft
      readonly flags: readonly Flag[]
      readonly internalDateMs: number | null
    },
  ): AppendOutcome {
    const mailbox = findMailbox(tx, args.accountId, SENT)
    if (mailbox === undefined) return { kind: 'no-such-mailbox' }
    const ours = sentPlace(tx, args.outboundId)
    const uid = insertMessage(tx, {
      mailbox,
      content: args.message,
      flags: args.flags,
      internalDateMs: args.internalDateMs ?? tx.nowMs,
    })
    tx.sql(`UPDATE submissions SET sent_copy = 'client', sent_uid = ? WHERE outbound_id = ?`).run(
      uid,
      args.outboundId,
    )
    endWork(tx, sentRow(args.outboundId))
    if (ours !== undefined) deleteMessages(tx, ours.mailbox, [ours.uid])
    showDelivery(tx, args.outboundId)
    return { kind: 'ok', uidValidity: mailbox.uidValidity, uid }
  },

  /** Forgets messages that ended before `endedBeforeMs`, with their bytes; at most `limit` at a time. */
  pruneOutbound(
    tx: WriteTransaction,
    args: { readonly acceptedBeforeMs: number; readonly limit: number },
  ): number {
    const rows = tx
      .sql(
        `DELETE FROM outbound_messages WHERE id IN
           (SELECT id FROM outbound_messages WHERE state IN ('done', 'cancelled') AND accepted_ms < ? AND outbox_uid IS NULL LIMIT ?)
         RETURNING blob_id`,
      )
      .all(args.acceptedBeforeMs, args.limit)
    for (const row of rows) releaseBlob(tx, row.blob_id as Uint8Array)
    return rows.length
  },
}

/** The same submission that is on its way or got through: one that failed for everybody is tried anew. */
function findEarlier(tx: WriteTransaction, args: SubmittedMessage): number | undefined {
  if (args.messageId === null) return undefined
  const row = tx
    .sql(
      `SELECT outbound_id FROM submissions JOIN outbound_messages ON outbound_id = outbound_messages.id
       WHERE submissions.account_id = ? AND submissions.message_id = ? AND recipients_digest = ? AND content_digest = ?
         AND submitted_ms > ? AND state <> 'cancelled'
         AND EXISTS (SELECT 1 FROM outbound_recipients AS r WHERE r.outbound_id = outbound_messages.id AND r.state <> 'failed')`,
    )
    .get(
      args.accountId,
      args.messageId,
      args.recipientsDigest,
      args.contentDigest,
      tx.nowMs - RESUBMISSION_WINDOW_MS,
    )
  return row === undefined ? undefined : Number(row.outbound_id)
}

function insertOutbound(tx: WriteTransaction, args: SubmittedMessage, outboxUid: Uid): number {
  const inserted = tx
    .sql(
      `INSERT INTO outbound_messages (account_id, state, blob_id, message_id, message_unique_id, reportable, return_content,
         envelope_id, accepted_ms, outbox_uid, release_ms) VALUES (?, 'accepted', ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      args.accountId,
      args.message.blob.id,
      args.messageId,
      args.messageUniqueId,
      args.reportable ? 1 : 0,
      args.returnContent,
      args.envelopeId,
      tx.nowMs,
      outboxUid,
      args.releaseMs,
    )
  const outboundId = Number(inserted.lastInsertRowid)
  for (const recipient of args.recipients) {
    if (recipient.keyId !== null) pinContact(tx, args.accountId, recipient.keyId)
    tx.sql(
      `INSERT INTO outbound_recipients (outbound_id, field, address, key_id, pinned, state, notify, original_recipient)
       VALUES (?, ?, ?, ?, ?, 'unresolved', ?, ?)`,
    ).run(
      outboundId,
      recipient.field,
      recipient.address,
      recipient.keyId,
      recipient.pinned ? 1 : 0,
      recipient.notify.join(','),
      recipient.originalRecipient,
    )
  }
  tx.sql(
    `INSERT INTO submissions (account_id, outbound_id, login, message_id, recipients_digest, content_digest, submitted_ms, sent_copy, sent_uid)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    args.accountId,
    outboundId,
    args.login,
    args.messageId,
    args.recipientsDigest,
    args.contentDigest,
    tx.nowMs,
    args.sentUid === null ? 'waiting' : 'client',
    args.sentUid,
  )
  if (args.messageId !== null) {
    tx.sql(
      'INSERT OR IGNORE INTO message_ids (account_id, message_unique_id, message_id) VALUES (?, ?, ?)',
    ).run(args.accountId, args.messageUniqueId, args.messageId)
  }
  return outboundId
}

/** A draft that was submitted is a draft no more (design 11). */
function removeDrafts(tx: WriteTransaction, args: SubmittedMessage): void {
  if (args.draftUids.length === 0) return
  const drafts = findMailbox(tx, args.accountId, 'Drafts')
  if (drafts !== undefined) deleteMessages(tx, drafts, args.draftUids)
}

/** True for a login whose last submissions all got our copy: it does not save its own. */
function savesNoCopies(tx: WriteTransaction, args: SubmittedMessage): boolean {
  const rows = tx
    .sql(
      `SELECT sent_copy FROM submissions WHERE account_id = ? AND login = ? AND sent_copy <> 'waiting' ORDER BY id DESC LIMIT ?`,
    )
    .all(args.accountId, args.login, LEARN_NO_COPY_AFTER)
  return rows.length === LEARN_NO_COPY_AFTER && rows.every((row) => row.sent_copy === 'ours')
}

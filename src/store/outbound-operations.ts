import type { AcknowledgmentId, AnnouncementId, BlockKey, KeyId, MessageHash } from '../cm/ids.ts'
import { CM_KEYWORDS } from '../mail/flags.ts'
import { pinContact } from './contact-operations.ts'
import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'
import { leaveOutbox, showProgress } from './outbox-progress.ts'
import { scheduleReport } from './report-rows.ts'
import { showDelivery } from './sent-copy.ts'
import { workOperations } from './work-operations.ts'
import { type DueWork, endWork, holdsLease, type Lease, scheduleWork } from './work-rows.ts'

/**
 * What happens to a submitted message after it was accepted: resolve → encode → post → acknowledged (design 4, 7).
 * Each operation is one step of that path; its outputs become visible in the transaction that moves the row on.
 */

/** States of design 4. */
export type OutboundState = 'accepted' | 'resolved' | 'encoded' | 'posting' | 'posted' | 'done' | 'cancelled'
export type RecipientState = 'unresolved' | 'resolved' | 'posted' | 'acknowledged' | 'failed' | 'unconfirmed'

export type RecipientResolution =
  | { readonly recipientId: number; readonly kind: 'resolved'; readonly keyId: KeyId }
  | {
      readonly recipientId: number
      readonly kind: 'failed'
      /** RFC 3463, e.g. `5.1.1`. */
      readonly statusCode: string
      readonly diagnostic: string
    }

/** One ciphertext and its recipients. */
export interface EncodedCopy {
  /** Name of the ciphertext's file below the outbound directory. */
  readonly file: string
  readonly messageHash: MessageHash
  readonly announcementId: AnnouncementId
  readonly recipients: readonly {
    readonly recipientId: number
    readonly acknowledgmentId: AcknowledgmentId
    /** The received token its announcement was made with. */
    readonly bypassSecretId?: Uint8Array | undefined
  }[]
  readonly blocks: readonly EncodedBlock[]
}

/** One block for one target. */
export interface EncodedBlock {
  readonly type: 'data' | 'message-announcement'
  readonly key: BlockKey
  /** `server=host:port,…` of the recipients it is for. */
  readonly target: string
  /** Header lines with LF; for data up to and including `Data: n`. */
  readonly text: string
  /** Data only: where the payload lies in the copy's file. */
  readonly payload: { readonly start: number; readonly bytes: number } | null
  /** Announcements only. */
  readonly recipientId: number | null
}

type StepOutcome = { readonly kind: 'ok'; readonly due: readonly DueWork[] } | { readonly kind: 'lease-lost' }
const LEASE_LOST: StepOutcome = { kind: 'lease-lost' }

function setState(tx: WriteTransaction, outboundId: number, state: OutboundState): void {
  tx.sql('UPDATE outbound_messages SET state = ? WHERE id = ?').run(state, outboundId)
}

function countRecipients(tx: WriteTransaction, outboundId: number, condition: string): number {
  const row = tx
    .sql(`SELECT count(*) AS n FROM outbound_recipients WHERE outbound_id = ? AND ${condition}`)
    .get(outboundId)
  return Number(row?.n)
}

function accountOf(tx: WriteTransaction, outboundId: number): AccountId {
  return Number(tx.sql('SELECT account_id FROM outbound_messages WHERE id = ?').get(outboundId)?.account_id)
}

export const outboundOperations = {
  /**
   * What resolving found. Goes on to encoding when `encodeNow` and somebody is ready to be encoded for; else tries again after
   * `retryDelayMs` while somebody is unresolved; else the message is finished.
   */
  finishResolve(
    tx: WriteTransaction,
    args: {
      readonly lease: Lease
      readonly outboundId: number
      readonly resolutions: readonly RecipientResolution[]
      /** For people: why the others are not decided. */
      readonly problem?: string
      readonly encodeNow: boolean
      readonly retryDelayMs: number
    },
  ): StepOutcome {
    const { lease, outboundId } = args
    if (!holdsLease(tx, lease)) return LEASE_LOST
    const accountId = accountOf(tx, outboundId)
    const reports = resolveRecipients(tx, accountId, args.resolutions)
    const ready = countRecipients(tx, outboundId, `state = 'resolved' AND copy_id IS NULL`)
    const unresolved = countRecipients(tx, outboundId, `state = 'unresolved'`)
    if (ready > 0 && (args.encodeNow || unresolved === 0)) {
      setState(tx, outboundId, 'resolved')
      showProgress(tx, outboundId, CM_KEYWORDS.work)
      return {
        kind: 'ok',
        due: [...reports, scheduleWork(tx, { row: lease.row, accountId, stage: 'encode', delayMs: 0 })],
      }
    }
    if (unresolved > 0) {
      // A failed try, so that the distance to the next one grows.
      const due = workOperations.retryWork(tx, {
        lease,
        error: `${unresolved} recipients without a key yet${args.problem ? `: ${args.problem}` : ''}`,
        delayMs: args.retryDelayMs,
      })
      return { kind: 'ok', due: due === undefined ? reports : [...reports, due] }
    }
    finishMessage(tx, outboundId)
    endWork(tx, lease.row)
    return { kind: 'ok', due: reports }
  },

  /** Makes encoded copies visible, all at once; from here on their bytes are fixed. */
  finishEncode(
    tx: WriteTransaction,
    args: {
      readonly lease: Lease
      readonly outboundId: number
      readonly copies: readonly EncodedCopy[]
      readonly failures: readonly RecipientResolution[]
    },
  ): StepOutcome {
    const { lease, outboundId } = args
    if (!holdsLease(tx, lease)) return LEASE_LOST
    const accountId = accountOf(tx, outboundId)
    const reports = resolveRecipients(tx, accountId, args.failures)
    for (const copy of args.copies) insertCopy(tx, { accountId, outboundId, copy })
    if (args.copies.length > 0) {
      setState(tx, outboundId, 'encoded')
      showProgress(tx, outboundId, CM_KEYWORDS.sending)
    }
    const post = scheduleWork(tx, { row: lease.row, accountId, stage: 'post', delayMs: 0 })
    return { kind: 'ok', due: [...reports, post] }
  },

  /** A server took these blocks. */
  markBlocksPosted(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly blockIds: readonly number[] },
  ): boolean {
    if (!holdsLease(tx, args.lease)) return false
    markPosted(tx, args.blockIds)
    return true
  },

  /** Date and proof of work of a block that waited too long were made anew; its content is the same. */
  renewBlockText(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly blockId: number; readonly text: string },
  ): boolean {
    if (!holdsLease(tx, args.lease)) return false
    tx.sql('UPDATE outbound_blocks SET text = ?, created_ms = ? WHERE id = ? AND posted_ms IS NULL').run(
      args.text,
      tx.nowMs,
      args.blockId,
    )
    return true
  },

  /**
   * Ends a posting pass. Recipients whose announcement is at their server are posted; the ones named in `failures` failed;
   * what is left is tried again, unresolved recipients are looked up again, and with nobody left the message is posted.
   */
  finishPost(
    tx: WriteTransaction,
    args: {
      readonly lease: Lease
      readonly outboundId: number
      /** Taken by a server in this pass and not marked yet. */
      readonly postedBlockIds: readonly number[]
      readonly failures: readonly RecipientResolution[]
      readonly resolveDelayMs: number
    },
  ): StepOutcome | { readonly kind: 'incomplete' } {
    const { lease, outboundId } = args
    if (!holdsLease(tx, lease)) return LEASE_LOST
    const accountId = accountOf(tx, outboundId)
    markPosted(tx, args.postedBlockIds)
    // What the own server holds until a time is on its way from that time on.
    tx.sql(
      `UPDATE outbound_recipients SET state = 'posted',
         posted_ms = max(?1, coalesce((SELECT release_ms FROM outbound_messages WHERE id = ?2), 0))
       WHERE outbound_id = ?2 AND state = 'resolved' AND id IN
         (SELECT recipient_id FROM outbound_blocks WHERE type = 'message-announcement' AND posted_ms IS NOT NULL)`,
    ).run(tx.nowMs, outboundId)
    const reports = resolveRecipients(tx, accountId, args.failures)
    if (countRecipients(tx, outboundId, `state = 'resolved' AND copy_id IS NOT NULL`) > 0)
      return { kind: 'incomplete' }
    if (countRecipients(tx, outboundId, `state IN ('unresolved', 'resolved')`) > 0) {
      const delayMs = args.resolveDelayMs
      const resolve = scheduleWork(tx, { row: lease.row, accountId, stage: 'resolve', delayMs })
      return { kind: 'ok', due: [...reports, resolve] }
    }
    finishMessage(tx, outboundId)
    endWork(tx, lease.row)
    return { kind: 'ok', due: reports }
  },

  /** It takes long: the sender is told once (design 7.9). Undefined when that was done or is under way. */
  scheduleDelayReport(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly outboundId: number },
  ): DueWork | undefined {
    const row = `dl${args.outboundId}`
    const done = tx
      .sql(
        `SELECT 1 FROM outbound_messages WHERE id = ?1 AND delay_reported_ms IS NOT NULL
         UNION ALL SELECT 1 FROM work WHERE row = ?2`,
      )
      .get(args.outboundId, row)
    if (done !== undefined) return undefined
    return scheduleWork(tx, { row, accountId: args.accountId, stage: 'delayreport', delayMs: 0 })
  },
}

function markPosted(tx: WriteTransaction, blockIds: readonly number[]): void {
  for (const blockId of blockIds) {
    tx.sql('UPDATE outbound_blocks SET posted_ms = ? WHERE id = ? AND posted_ms IS NULL').run(
      tx.nowMs,
      blockId,
    )
    tx.sql(
      `UPDATE outbound_messages SET state = 'posting' WHERE state = 'encoded' AND id =
         (SELECT outbound_id FROM outbound_copies WHERE id = (SELECT copy_id FROM outbound_blocks WHERE id = ?))`,
    ).run(blockId)
  }
}

/** Returns the report that became due, if any: several failures of a message share one. */
function resolveRecipients(
  tx: WriteTransaction,
  accountId: AccountId,
  resolutions: readonly RecipientResolution[],
): readonly DueWork[] {
  const reports = resolutions.flatMap((resolution) => resolveRecipient(tx, accountId, resolution))
  return reports.slice(-1)
}

function resolveRecipient(
  tx: WriteTransaction,
  accountId: AccountId,
  resolution: RecipientResolution,
): DueWork[] {
  if (resolution.kind === 'resolved') {
    tx.sql(
      `UPDATE outbound_recipients SET state = 'resolved', key_id = ? WHERE id = ? AND state IN ('unresolved', 'resolved')`,
    ).run(resolution.keyId, resolution.recipientId)
    pinContact(tx, accountId, resolution.keyId)
    return []
  }
  const failed = tx
    .sql(
      `UPDATE outbound_recipients SET state = 'failed', status_code = ?, diagnostic = ?
       WHERE id = ? AND state IN ('unresolved', 'resolved') RETURNING outbound_id`,
    )
    .get(resolution.statusCode, resolution.diagnostic, resolution.recipientId)
  return failed === undefined ? [] : [scheduleReport(tx, accountId, Number(failed.outbound_id))]
}

function insertCopy(
  tx: WriteTransaction,
  args: { readonly accountId: AccountId; readonly outboundId: number; readonly copy: EncodedCopy },
): void {
  const { copy } = args
  const copyId = Number(
    tx
      .sql(
        `INSERT INTO outbound_copies (outbound_id, file, message_hash, announcement_id, encoded_ms) VALUES (?, ?, ?, ?, ?) RETURNING id`,
      )
      .get(args.outboundId, copy.file, copy.messageHash, copy.announcementId, tx.nowMs)?.id,
  )
  for (const { recipientId, acknowledgmentId, bypassSecretId } of copy.recipients) {
    tx.sql(
      'UPDATE outbound_recipients SET copy_id = ?, acknowledgment_id = ?, bypass_secret_id = ? WHERE id = ?',
    ).run(copyId, acknowledgmentId, bypassSecretId ?? null, recipientId)
  }
  for (const block of copy.blocks) {
    tx.sql(
      `INSERT INTO outbound_blocks (account_id, copy_id, recipient_id, type, block_key, target, text, payload_start, payload_bytes, created_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      args.accountId,
      copyId,
      block.recipientId,
      block.type,
      block.key,
      block.target,
      block.text,
      block.payload?.start ?? null,
      block.payload?.bytes ?? null,
      tx.nowMs,
    )
  }
}

/** Nobody is left to send to: the Outbox entry goes, unless everybody failed and it is all the sender has. */
function finishMessage(tx: WriteTransaction, outboundId: number): void {
  const sent = countRecipients(tx, outboundId, `state IN ('posted', 'acknowledged', 'unconfirmed')`)
  const open = countRecipients(tx, outboundId, `state = 'posted'`)
  setState(tx, outboundId, open > 0 ? 'posted' : 'done')
  if (sent > 0) leaveOutbox(tx, outboundId)
  else showProgress(tx, outboundId, CM_KEYWORDS.failed)
  showDelivery(tx, outboundId)
}

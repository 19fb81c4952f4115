import type { AcknowledgmentId, AnnouncementId, BlockKey, KeyId, MessageHash } from '../cm/ids.ts'
import type { Flag } from '../mail/flags.ts'
import { type BlobDraft, type MessageDraft, retainDraft } from './blob-rows.ts'
import { keepBypassSecret, type NewBypassSecret } from './bypass-operations.ts'
import { type ContactRecord, pinContact, upsertContact } from './contact-operations.ts'
import {
  applySyncedChanges,
  insertSentCopies,
  type SyncedChange,
  type SyncedSentCopy,
} from './folder-sync-rows.ts'
import type { AccountId } from './ids.ts'
import type { MailPlace } from './inbound-queries.ts'
import { findMailbox } from './mailbox-rows.ts'
import { insertMessage } from './message-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { insertNotice, type NoticeDraft } from './report-operations.ts'
import { scheduleReport } from './report-rows.ts'
import { showDelivery } from './sent-copy.ts'
import { type DueWork, endWork, holdsLease, type Lease, scheduleWork } from './work-rows.ts'

/** What is done with an announcement found in a mailbox: announced → fetched → delivered, or another end (design 4, 8). */
export type InboundState =
  | 'announced'
  | 'fetched'
  | 'delivered'
  | 'quarantined'
  | 'hidden'
  | 'duplicate'
  | 'expired'

/** The work row of an inbound message. */
export function inboundRow(inboundId: number): string {
  return `in${inboundId}`
}

/** A record of a mailbox that is for the account and new to it. */
export interface FoundAnnouncement {
  readonly announcementId: AnnouncementId
  readonly messageHash: MessageHash
  /** The record as the server gave it, LF lines. */
  readonly record: string
  readonly dataBlocks: readonly BlockKey[]
  /** False: below the demand and without a token; fetched into Junk (design 8.2). */
  readonly hasEnoughWork: boolean
  /** The key whose token of ours stands for the work (CM wire 6); undefined when the work itself is enough, or nothing is. */
  readonly bypassKeyId?: KeyId | undefined
  /** `host:port` it came from. */
  readonly server: string
}

/** The acknowledgment of a message that verified, ready to be posted. */
export interface AcknowledgmentPost {
  readonly key: BlockKey
  readonly text: string
  /** Transport of the sender. */
  readonly target: string
}

/** How an inbound message ends (design 8). */
export type InboundEnd =
  | {
      readonly kind: 'deliver'
      readonly mailboxName: string
      readonly message: MessageDraft
      readonly flags: readonly Flag[]
      /** Signature and ZIP, kept as long as the message is. */
      readonly container?: BlobDraft | undefined
      readonly acknowledgment: AcknowledgmentPost | null
      /** MessageUniqueId and the Message-ID it is shown with. */
      readonly messageUniqueId: string | null
      readonly messageId: string | null
    }
  /** Another client of the account says what it did; it is acknowledged and never shown (CM message 7). */
  | {
      readonly kind: 'hide'
      readonly acknowledgment: AcknowledgmentPost | null
      readonly changes: readonly SyncedChange[]
      readonly sentCopies: readonly SyncedSentCopy[]
    }
  | { readonly kind: 'quarantine' }
  | { readonly kind: 'expire' }

export const inboundOperations = {
  /** What one poll found: new announcements, acknowledgments that arrived. */
  recordPoll(
    tx: WriteTransaction,
    args: {
      readonly accountId: AccountId
      readonly place: MailPlace
      /** The list that was asked; the times are not of another one the account has by now. */
      readonly servers: readonly string[]
      readonly announcements: readonly FoundAnnouncement[]
      readonly acknowledged: readonly AcknowledgmentId[]
      readonly isFull: boolean
      /** When the poll began: the next one asks for what is newer. Null: it was cut short. */
      readonly startedMs: number | null
    },
  ): readonly DueWork[] {
    const { accountId } = args
    const due = args.announcements.flatMap((found) => insertAnnouncement(tx, accountId, found))
    const reports = args.acknowledged.flatMap((id) => acknowledgeRecipient(tx, accountId, id))
    if (args.startedMs !== null) recordPollTimes(tx, { ...args, startedMs: args.startedMs })
    return [...due, ...reports]
  },

  /** The account's key and claim lie at its server. */
  recordAnnounced(tx: WriteTransaction, args: { readonly accountId: AccountId }): void {
    tx.sql(
      `INSERT INTO polls (account_id, announced_ms) VALUES (?1, ?2)
       ON CONFLICT (account_id) DO UPDATE SET announced_ms = ?2`,
    ).run(args.accountId, tx.nowMs)
  },

  /** A data block of it lies in its file, checked. */
  markBlockFetched(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly inboundId: number; readonly position: number },
  ): boolean {
    if (!holdsLease(tx, args.lease)) return false
    tx.sql('UPDATE inbound_blocks SET fetched_ms = ? WHERE inbound_id = ? AND position = ?').run(
      tx.nowMs,
      args.inboundId,
      args.position,
    )
    return true
  },

  /** All its blocks are there: it is decoded next. */
  finishFetch(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly accountId: AccountId; readonly inboundId: number },
  ): readonly DueWork[] {
    if (!holdsLease(tx, args.lease)) return []
    tx.sql(`UPDATE inbound_announcements SET state = 'fetched' WHERE id = ?`).run(args.inboundId)
    tx.sql('UPDATE inbound_blocks SET fetched_ms = ? WHERE inbound_id = ? AND fetched_ms IS NULL').run(
      tx.nowMs,
      args.inboundId,
    )
    return [scheduleWork(tx, { row: args.lease.row, accountId: args.accountId, stage: 'decode', delayMs: 0 })]
  },

  /** Blocks whose files are damaged or gone are fetched again. */
  refetchBlocks(
    tx: WriteTransaction,
    args: {
      readonly lease: Lease
      readonly accountId: AccountId
      readonly inboundId: number
      readonly keys: readonly BlockKey[]
      readonly delayMs: number
    },
  ): readonly DueWork[] {
    const { lease, accountId, inboundId, delayMs } = args
    if (!holdsLease(tx, lease)) return []
    for (const key of args.keys) {
      tx.sql('UPDATE inbound_blocks SET fetched_ms = NULL WHERE inbound_id = ? AND block_key = ?').run(
        inboundId,
        key,
      )
    }
    tx.sql(`UPDATE inbound_announcements SET state = 'announced' WHERE id = ?`).run(inboundId)
    return [scheduleWork(tx, { row: lease.row, accountId, stage: 'fetch', delayMs })]
  },

  /** The sender's key is not found yet: the message is held, for a body cannot change later (design 8.4). */
  holdInbound(
    tx: WriteTransaction,
    args: { readonly inboundId: number; readonly holdUntilMs: number },
  ): void {
    tx.sql('UPDATE inbound_announcements SET hold_until_ms = coalesce(hold_until_ms, ?) WHERE id = ?').run(
      args.holdUntilMs,
      args.inboundId,
    )
  },

  /**
   * The end of an inbound message: it enters its mailbox and its row turns terminal in one transaction, with the
   * acknowledgment that is to be posted, the keys it brought and what the owner is told.
   */
  finishInbound(
    tx: WriteTransaction,
    args: {
      readonly lease: Lease
      readonly accountId: AccountId
      readonly inboundId: number
      readonly end: InboundEnd
      readonly reason: string
      /** Equal for the same message announced twice (design 8.5); null for what did not verify. */
      readonly fingerprint: string | null
      readonly contacts: readonly ContactRecord[]
      /** A key that is known from now on. */
      readonly pin: KeyId | null
      readonly notices: readonly NoticeDraft[]
      /** The token the signer gave us (CM wire 6). */
      readonly bypassSecret?: NewBypassSecret | undefined
      /** The signer, when it used a token we do not know. */
      readonly unknownTokenFrom?: KeyId | undefined
    },
  ):
    | { readonly kind: 'ok' | 'duplicate'; readonly due: readonly DueWork[] }
    | { readonly kind: 'lease-lost' } {
    if (!holdsLease(tx, args.lease)) return { kind: 'lease-lost' }
    const { accountId, inboundId, end } = args
    endWork(tx, args.lease.row)
    for (const contact of args.contacts) upsertContact(tx, accountId, contact)
    if (args.pin !== null) pinContact(tx, accountId, args.pin)
    for (const notice of args.notices) insertNotice(tx, accountId, notice)
    if (args.bypassSecret !== undefined) keepBypassSecret(tx, accountId, args.bypassSecret)
    if (args.unknownTokenFrom !== undefined) {
      tx.sql('UPDATE inbound_announcements SET unknown_token_from = ? WHERE id = ?').run(
        args.unknownTokenFrom,
        inboundId,
      )
    }
    if (isDuplicate(tx, accountId, args.fingerprint)) {
      setState(tx, inboundId, { state: 'duplicate', reason: args.reason, fingerprint: null })
      return { kind: 'duplicate', due: [] }
    }
    const { reason, fingerprint } = args
    if (end.kind === 'quarantine' || end.kind === 'expire') {
      const state = end.kind === 'expire' ? 'expired' : 'quarantined'
      setState(tx, inboundId, { state, reason, fingerprint })
      return { kind: 'ok', due: [] }
    }
    if (end.kind === 'hide') {
      applySyncedChanges(tx, accountId, end.changes)
      insertSentCopies(tx, accountId, end.sentCopies)
      setState(tx, inboundId, { state: 'hidden', reason, fingerprint })
      return { kind: 'ok', due: scheduleAcknowledgment(tx, accountId, end.acknowledgment) }
    }
    deliver(tx, accountId, end)
    if (end.container !== undefined) retainDraft(tx, end.container)
    tx.sql('UPDATE inbound_announcements SET blob_id = ?, container_blob_id = ? WHERE id = ?').run(
      end.message.blob.id,
      end.container?.id ?? null,
      inboundId,
    )
    setState(tx, inboundId, { state: 'delivered', reason, fingerprint })
    return { kind: 'ok', due: scheduleAcknowledgment(tx, accountId, end.acknowledgment) }
  },

  /** An acknowledgment was posted, or given up after three days (CM wire 8.5 point 6). */
  finishAcknowledgment(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly blockId: number },
  ): boolean {
    if (!holdsLease(tx, args.lease)) return false
    tx.sql('DELETE FROM outbound_blocks WHERE id = ?').run(args.blockId)
    endWork(tx, args.lease.row)
    return true
  },
}

interface PollTimes {
  readonly accountId: AccountId
  readonly place: MailPlace
  readonly servers: readonly string[]
  readonly isFull: boolean
  readonly startedMs: number
}

function recordPollTimes(tx: WriteTransaction, times: PollTimes): void {
  const { accountId, place, servers, isFull, startedMs } = times
  const isOwn = place === 'own'
  const account = tx.sql('SELECT servers, old_servers FROM accounts WHERE id = ?').get(accountId)
  if ((isOwn ? account?.servers : account?.old_servers) !== JSON.stringify(servers)) return
  const save = isOwn
    ? tx.sql(
        `INSERT INTO polls (account_id, succeeded_ms, full_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (account_id) DO UPDATE SET succeeded_ms = ?2, full_ms = coalesce(?3, full_ms)`,
      )
    : tx.sql(
        `INSERT INTO polls (account_id, old_succeeded_ms, old_full_ms) VALUES (?1, ?2, ?3)
         ON CONFLICT (account_id) DO UPDATE SET old_succeeded_ms = ?2, old_full_ms = coalesce(?3, old_full_ms)`,
      )
  save.run(accountId, startedMs, isFull ? startedMs : null)
}

function insertAnnouncement(tx: WriteTransaction, accountId: AccountId, found: FoundAnnouncement): DueWork[] {
  const inserted = tx
    .sql(
      `INSERT INTO inbound_announcements (account_id, announcement_id, message_hash, state, record, server, enough_work, bypass_key_id, seen_ms)
       VALUES (?, ?, ?, 'announced', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`,
    )
    .get(
      accountId,
      found.announcementId,
      found.messageHash,
      found.record,
      found.server,
      found.hasEnoughWork ? 1 : 0,
      found.bypassKeyId ?? null,
      tx.nowMs,
    )
  if (inserted === undefined) return []
  const inboundId = Number(inserted.id)
  found.dataBlocks.forEach((key, position) => {
    tx.sql('INSERT INTO inbound_blocks (inbound_id, position, block_key) VALUES (?, ?, ?)').run(
      inboundId,
      position,
      key,
    )
  })
  return [scheduleWork(tx, { row: inboundRow(inboundId), accountId, stage: 'fetch', delayMs: 0 })]
}

function acknowledgeRecipient(tx: WriteTransaction, accountId: AccountId, id: AcknowledgmentId): DueWork[] {
  // One key under two addresses of the envelope is two recipients with one acknowledgment.
  const rows = tx
    .sql(
      `UPDATE outbound_recipients SET state = 'acknowledged', acknowledged_ms = ?1 WHERE acknowledgment_id = ?2 AND state IN ('posted', 'unconfirmed')
         AND outbound_id IN (SELECT id FROM outbound_messages WHERE account_id = ?3) RETURNING outbound_id, notify`,
    )
    .all(tx.nowMs, id, accountId)
  const [row] = rows
  if (row === undefined) return []
  const outboundId = Number(row.outbound_id)
  tx.sql(
    `UPDATE outbound_messages SET state = 'done' WHERE id = ?1 AND state = 'posted' AND NOT EXISTS
       (SELECT 1 FROM outbound_recipients WHERE outbound_id = ?1 AND state = 'posted')`,
  ).run(outboundId)
  showDelivery(tx, outboundId)
  const isReportWanted = rows.some(({ notify }) => String(notify).split(',').includes('success'))
  return isReportWanted ? [scheduleReport(tx, accountId, outboundId)] : []
}

function isDuplicate(tx: WriteTransaction, accountId: AccountId, fingerprint: string | null): boolean {
  if (fingerprint === null) return false
  const found = tx
    .sql(
      `SELECT 1 FROM inbound_announcements WHERE account_id = ? AND fingerprint = ? AND state IN ('delivered', 'hidden')`,
    )
    .get(accountId, fingerprint)
  return found !== undefined
}

function setState(
  tx: WriteTransaction,
  inboundId: number,
  to: { readonly state: InboundState; readonly reason: string; readonly fingerprint: string | null },
): void {
  tx.sql('UPDATE inbound_announcements SET state = ?, reason = ?, fingerprint = ? WHERE id = ?').run(
    to.state,
    to.reason,
    to.fingerprint,
    inboundId,
  )
}

function deliver(
  tx: WriteTransaction,
  accountId: AccountId,
  end: Extract<InboundEnd, { readonly kind: 'deliver' }>,
): void {
  const mailbox = findMailbox(tx, accountId, end.mailboxName)
  if (mailbox === undefined) throw new Error(`the account has no ${end.mailboxName}`)
  insertMessage(tx, { mailbox, content: end.message, flags: end.flags, internalDateMs: tx.nowMs })
  if (end.messageUniqueId !== null && end.messageId !== null) {
    tx.sql(
      'INSERT OR IGNORE INTO message_ids (account_id, message_unique_id, message_id) VALUES (?, ?, ?)',
    ).run(accountId, end.messageUniqueId, end.messageId)
  }
}

function scheduleAcknowledgment(
  tx: WriteTransaction,
  accountId: AccountId,
  post: AcknowledgmentPost | null,
): DueWork[] {
  if (post === null) return []
  const inserted = tx
    .sql(
      `INSERT INTO outbound_blocks (account_id, type, block_key, target, text, created_ms) VALUES (?, 'acknowledgment', ?, ?, ?, ?)`,
    )
    .run(accountId, post.key, post.target, post.text, tx.nowMs)
  const row = `ak${inserted.lastInsertRowid}`
  return [scheduleWork(tx, { row, accountId, stage: 'acknowledge', delayMs: 0 })]
}

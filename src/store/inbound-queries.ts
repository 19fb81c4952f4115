import type { AnnouncementId, BlockKey, KeyId, MessageHash } from '../cm/ids.ts'
import type { AccountId } from './ids.ts'
import type { InboundState } from './inbound-operations.ts'
import type { ReadConnection } from './read-connection.ts'

export interface InboundMessage {
  readonly id: number
  readonly accountId: AccountId
  readonly announcementId: AnnouncementId
  readonly state: InboundState
  readonly record: string
  readonly server: string
  readonly hasEnoughWork: boolean
  /** The key whose token of ours stands for the work. */
  readonly bypassKeyId: KeyId | null
  readonly seenMs: number
  readonly holdUntilMs: number | null
  readonly blocks: readonly InboundBlock[]
}

export interface InboundBlock {
  readonly position: number
  readonly key: BlockKey
  readonly isFetched: boolean
}

interface Row {
  readonly id: number
  readonly account_id: AccountId
  readonly announcement_id: AnnouncementId
  readonly state: InboundState
  readonly record: string
  readonly server: string
  readonly enough_work: number
  readonly bypass_key_id: KeyId | null
  readonly seen_ms: number
  readonly hold_until_ms: number | null
}

/** One inbound message with its data blocks in order. */
export function inboundMessage(read: ReadConnection, inboundId: number): InboundMessage | undefined {
  const row = read.get<Row>('SELECT * FROM inbound_announcements WHERE id = ?', inboundId)
  if (row === undefined) return undefined
  const blocks = read.all<{ position: number; block_key: BlockKey; fetched_ms: number | null }>(
    'SELECT * FROM inbound_blocks WHERE inbound_id = ? ORDER BY position',
    inboundId,
  )
  return {
    id: row.id,
    accountId: row.account_id,
    announcementId: row.announcement_id,
    state: row.state,
    record: row.record,
    server: row.server,
    hasEnoughWork: row.enough_work === 1,
    bypassKeyId: row.bypass_key_id,
    seenMs: row.seen_ms,
    holdUntilMs: row.hold_until_ms,
    blocks: blocks.map((block) => ({
      position: block.position,
      key: block.block_key,
      isFetched: block.fetched_ms !== null,
    })),
  }
}

/**
 * True for an announcement this account has met before, with the same MessageHash: the id covers the data blocks alone,
 * and a forged record that came first must not keep the real one out.
 */
export function knowsAnnouncement(
  read: ReadConnection,
  accountId: AccountId,
  announced: { readonly id: AnnouncementId; readonly messageHash: MessageHash },
): boolean {
  const found = read.get(
    'SELECT 1 FROM inbound_announcements WHERE account_id = ? AND announcement_id = ? AND message_hash = ?',
    accountId,
    announced.id,
    announced.messageHash,
  )
  return found !== undefined
}

/** Where mail of an account lies: at its own servers, and for a while at those it left (CM wire 8.6). */
export type MailPlace = 'own' | 'old'

/** The blob with signature and ZIP of a message that was delivered and verified; undefined when it was not kept. */
export function signedContainerBlob(
  read: ReadConnection,
  accountId: AccountId,
  announcementId: AnnouncementId,
): Uint8Array | undefined {
  return read.get<{ readonly container_blob_id: Uint8Array }>(
    `SELECT container_blob_id FROM inbound_announcements
     WHERE account_id = ? AND announcement_id = ? AND container_blob_id IS NOT NULL`,
    accountId,
    announcementId,
  )?.container_blob_id
}

/** Announcements rows looked at: those of ten days and more of a busy mailbox. */
const MAX_ROWS = 100_000

/** Announcement ids of what an account was delivered, the latest first where there are very many. */
export function deliveredAnnouncements(
  read: ReadConnection,
  accountId: AccountId,
): ReadonlySet<AnnouncementId> {
  const rows = read.all<{ readonly announcement_id: AnnouncementId }>(
    `SELECT announcement_id FROM inbound_announcements
     WHERE account_id = ? AND state = 'delivered' AND blob_id IS NOT NULL ORDER BY id DESC LIMIT ?`,
    accountId,
    MAX_ROWS,
  )
  return new Set(rows.map((row) => row.announcement_id))
}

/** Messages of an account that are on their way into a mailbox. */
export function pendingInbound(
  read: ReadConnection,
  accountId: AccountId,
): readonly { readonly id: number; readonly record: string }[] {
  return read.all<{ readonly id: number; readonly record: string }>(
    `SELECT id, record FROM inbound_announcements WHERE account_id = ? AND state IN ('announced', 'fetched') LIMIT ?`,
    accountId,
    MAX_ROWS,
  )
}

/** When an account was last polled with success, last in full, and last announced, milliseconds; null for never. */
export interface AccountTimes {
  readonly succeededMs: number | null
  readonly fullMs: number | null
  readonly announcedMs: number | null
}

const POLL_TIMES = {
  own: 'SELECT succeeded_ms, full_ms, announced_ms FROM polls WHERE account_id = ?',
  old: 'SELECT old_succeeded_ms AS succeeded_ms, old_full_ms AS full_ms, announced_ms FROM polls WHERE account_id = ?',
} as const

export function pollTimes(
  read: ReadConnection,
  accountId: AccountId,
  place: MailPlace = 'own',
): AccountTimes {
  const row = read.get<{ succeeded_ms: number | null; full_ms: number | null; announced_ms: number | null }>(
    POLL_TIMES[place],
    accountId,
  )
  return {
    succeededMs: row?.succeeded_ms ?? null,
    fullMs: row?.full_ms ?? null,
    announcedMs: row?.announced_ms ?? null,
  }
}

/** The Message-ID a MessageUniqueId is shown with. */
export function messageIdOfUniqueId(
  read: ReadConnection,
  accountId: AccountId,
  uniqueId: string,
): string | undefined {
  return read.get<{ message_id: string }>(
    'SELECT message_id FROM message_ids WHERE account_id = ? AND message_unique_id = ?',
    accountId,
    uniqueId,
  )?.message_id
}

/** The MessageUniqueId of a message the account has seen, by its Message-ID. */
export function uniqueIdOfMessageId(
  read: ReadConnection,
  accountId: AccountId,
  messageId: string,
): string | undefined {
  return read.get<{ message_unique_id: string }>(
    'SELECT message_unique_id FROM message_ids WHERE account_id = ? AND message_id = ?',
    accountId,
    messageId,
  )?.message_unique_id
}

import { duration } from '../base/clock.ts'
import type { AnnouncementId } from '../cm/ids.ts'
import type { OpenedMessage } from '../cm/message/decode-message.ts'
import {
  type FolderSyncRecord,
  MAX_SYNC_LOG_BYTES,
  parseFolderSyncLog,
  SYNC_LOG_ENTRY,
} from '../cm/message/folder-sync.ts'
import { parseMessageAnnouncements } from '../cm/message-announcement.ts'
import type { SyncedChange, SyncedMailbox } from '../store/folder-sync-rows.ts'
import { deliveredAnnouncements, type InboundMessage, pendingInbound } from '../store/inbound-queries.ts'
import type { BridgeContext } from './bridge-context.ts'
import { readSmallEntry } from './read-small-entry.ts'

/**
 * What a reference client of the same account did, as changes of our mailboxes (CM message 7). Folders of its own, drafts
 * and colours are left alone; nothing is ever removed for good.
 */

/** A change may be about mail that is being fetched still; longer than this nothing is waited for. */
const MAX_WAIT_MS = duration.hour

/** The reference's names of folders that are mailboxes of ours. */
const MAILBOXES: Readonly<Record<string, SyncedMailbox>> = {
  Inbox: 'INBOX',
  Archive: 'Archive',
  Deleted: 'Trash',
}
const UNREAD = 'New Messages'

/** What a folder-sync message says, in the order it says it. */
export interface SyncedRecords {
  /** Changes of messages that are here, and tokens. */
  readonly changes: readonly SyncedChange[]
  /** Ids of messages the other client sent; their contents lie beside the records. */
  readonly sentIds: readonly string[]
}

/** What a folder-sync message says. Never fails for what it holds. */
export async function readSyncedRecords(
  context: Pick<BridgeContext, 'store' | 'log'>,
  message: InboundMessage,
  opened: OpenedMessage,
): Promise<SyncedRecords> {
  const log = parseFolderSyncLog(
    (await readSmallEntry(opened, SYNC_LOG_ENTRY, MAX_SYNC_LOG_BYTES)) ?? new Uint8Array(0),
  )
  const delivered = deliveredAnnouncements(context.store.read, message.accountId)
  const changes = log.records.flatMap((record) => toChange(record, delivered))
  const { ignoredCount, isCut } = log
  if (ignoredCount > 0 || isCut) {
    context.log.warn({ inboundId: message.id, ignoredCount, isCut }, 'a folder-sync message was read in part')
  }
  const sentIds = log.records.flatMap((record) => (record.name === 'SendMsg' ? [record.id] : []))
  return { changes, sentIds }
}

function toChange(record: FolderSyncRecord, delivered: ReadonlySet<AnnouncementId>): SyncedChange[] {
  switch (record.name) {
    case 'AddMsg':
    case 'DelMsg':
      return delivered.has(record.id) ? toMailboxChange(record) : []
    case 'SyncBypassToken': {
      const { keyId, created, expires } = record
      const secret = { direction: 'issued' as const, keyId, created, expires }
      return [{ kind: 'token', secret: { ...secret, secret: Buffer.from(record.secret, 'hex') } }]
    }
    case 'SendMsg':
    case 'SaveDraft':
    case 'AddCat':
    case 'DelCat':
    case 'RenCat':
      return []
  }
}

/** Its clients take a message out of one folder and put it into another; where it is put is what counts here. */
function toMailboxChange({
  name,
  path,
  id: announcementId,
}: Extract<
  FolderSyncRecord,
  { readonly id: AnnouncementId; readonly path: readonly string[] }
>): SyncedChange[] {
  const [folder = '', ...below] = path
  if (below.length > 0) return []
  if (folder === UNREAD) return [{ kind: name === 'AddMsg' ? 'unseen' : 'seen', announcementId }]
  const to = Object.hasOwn(MAILBOXES, folder) ? MAILBOXES[folder] : undefined
  return name === 'DelMsg' || to === undefined ? [] : [{ kind: 'file', announcementId, to }]
}

/**
 * True while mail that was announced before a folder-sync message is not in its mailbox yet: records about it would be
 * lost, and two such messages would be applied in the wrong order.
 */
export function mustWaitForOthers(
  context: Pick<BridgeContext, 'store' | 'clock'>,
  message: InboundMessage,
): boolean {
  if (context.clock.now() - message.seenMs > MAX_WAIT_MS) return false
  const own = orderOf(message)
  return pendingInbound(context.store.read, message.accountId).some(
    (other) => other.id !== message.id && orderOf(other) < own,
  )
}

/** By Date, as the reference does; the id decides between equal ones. Comparable as text. */
function orderOf({ id, record }: Pick<InboundMessage, 'id' | 'record'>): string {
  const parsed = parseMessageAnnouncements(record)
  const date = parsed.kind === 'ok' ? parsed.records[0]?.announcement.date : undefined
  return `${date ?? ''} ${String(id).padStart(16, '0')}`
}

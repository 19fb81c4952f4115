import { setImmediate as nextTurn } from 'node:timers/promises'
import { judgeDate } from '../cm/block-verdict.ts'
import { type BlockKey, mailboxHash } from '../cm/ids.ts'
import {
  type MessageAnnouncement,
  type MessageAnnouncementRecord,
  mailboxRecords,
  messageIdOf,
} from '../cm/message-announcement.ts'
import { parseUtcTime } from '../cm/utc-time.ts'
import type { Account } from '../store/account-queries.ts'
import type { FoundAnnouncement } from '../store/inbound-operations.ts'
import { knowsAnnouncement } from '../store/inbound-queries.ts'
import type { BridgeContext } from './bridge-context.ts'
import type { WorkJudge } from './bypass-tokens.ts'
import { acceptedProofOfWork } from './own-announcement.ts'

/** Records looked at before others get their turn: some 10 ms of a flooded mailbox. */
const RECORDS_PER_TURN = 500

/** A mailbox as a server gave it. */
export interface Mailbox {
  readonly account: Account
  /** `host:port` */
  readonly server: string
  /** The key that was asked for. */
  readonly key: BlockKey
  readonly text: string
  readonly judgeWork: WorkJudge
}

/**
 * New records that are for us: recipient, mailbox and age are checked, the first two of which the reference does not
 * (CM wire S8). Work below the demand is noted and makes the message Junk.
 */
export async function readMailbox(
  context: Pick<BridgeContext, 'store' | 'clock'>,
  mailbox: Mailbox,
): Promise<FoundAnnouncement[]> {
  const found: FoundAnnouncement[] = []
  let count = 0
  for (const record of mailboxRecords(mailbox.text)) {
    count += 1
    if (count % RECORDS_PER_TURN === 0) await nextTurn()
    const { announcement } = record
    const isOurs = isForUs(mailbox, announcement, context.clock.now())
    if (isOurs && !isKnown(context, mailbox.account, announcement))
      found.push(toFound(context, mailbox, record))
  }
  return found
}

function isForUs({ account, key }: Mailbox, announcement: MessageAnnouncement, nowMs: number): boolean {
  const dateMs = parseUtcTime(announcement.date ?? '')
  return (
    announcement.recipient === account.keyId &&
    mailboxHash(announcement.mailboxPrefix, account.keyId) === key &&
    judgeDate('message-announcement', dateMs, { network: 'server', nowMs }) === undefined &&
    announcement.dataBlocks.length > 0
  )
}

function isKnown(
  { store }: Pick<BridgeContext, 'store'>,
  account: Account,
  announcement: MessageAnnouncement,
): boolean {
  const { messageHash } = announcement
  return knowsAnnouncement(store.read, account.id, { id: messageIdOf(announcement), messageHash })
}

function toFound(
  { clock }: Pick<BridgeContext, 'clock'>,
  { account, judgeWork, server }: Mailbox,
  { announcement, text }: MessageAnnouncementRecord,
): FoundAnnouncement {
  const work = judgeWork(announcement, acceptedProofOfWork(account.network, clock.now()))
  return {
    announcementId: messageIdOf(announcement),
    messageHash: announcement.messageHash,
    record: text,
    dataBlocks: announcement.dataBlocks,
    hasEnoughWork: work.kind !== 'too-little',
    bypassKeyId: work.kind === 'token' ? work.keyId : undefined,
    server,
  }
}

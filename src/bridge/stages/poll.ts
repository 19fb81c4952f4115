import { duration } from '../../base/clock.ts'
import { parseAcknowledgment } from '../../cm/acknowledgment.ts'
import { judgeDate } from '../../cm/block-verdict.ts'
import type { CmSession } from '../../cm/client/cm-session.ts'
import { withServers } from '../../cm/client/with-servers.ts'
import { type AcknowledgmentId, acknowledgmentId, type BlockKey, idBytes, mailboxHash } from '../../cm/ids.ts'
import { messageIdOf, parseMessageAnnouncements } from '../../cm/message-announcement.ts'
import { parseUtcTime } from '../../cm/utc-time.ts'
import type { Account } from '../../store/account-queries.ts'
import type { FoundAnnouncement } from '../../store/inbound-operations.ts'
import { knowsAnnouncement, pollTimes } from '../../store/inbound-queries.ts'
import { openAcknowledgments } from '../../store/outbound-queries.ts'
import { type BridgeContext, ownServersRequest, requireAccount } from '../bridge-context.ts'
import { createWorkJudge, type WorkJudge } from '../bypass-tokens.ts'
import { acceptedProofOfWork, polledMailboxes } from '../own-announcement.ts'
import { jittered } from '../retry-delay.ts'
import type { Stage } from '../worker.ts'

/** Nobody is waiting: polled that many times more seldom (design 8.1: 300 s instead of 60 s). */
const IDLE_FACTOR = 5
/** How far back SINCE looks behind the last success: embargoed mail carries old dates (CM wire 10.1 point 24). */
const SINCE_OVERLAP_MS = 4 * duration.day
const FULL_EVERY_MS = duration.day
/** Acknowledgments asked for in one pass; the rest waits for the next. */
const MAX_ACKNOWLEDGMENTS = 500
/** Younger ones are asked for in every pass, older ones every quarter of an hour (design 8.1). */
const FRESH_MS = duration.day
const OLD_EVERY_MS = 15 * duration.minute

interface Pass {
  readonly account: Account
  readonly startedMs: number
  readonly sinceMs: number | undefined
  readonly wanted: readonly AcknowledgmentId[]
  readonly judgeWork: WorkJudge
}

interface PassResult {
  readonly announcements: FoundAnnouncement[]
  readonly acknowledged: AcknowledgmentId[]
}

/** One look at the account's mailboxes and open acknowledgments, on one connection (design 8.1). */
export function createPollStage(context: BridgeContext): Stage {
  return async ({ accountId }) => {
    const account = requireAccount(context, accountId)
    const delayMs = pollDelay(context, account)
    if (account.servers.length === 0) return { kind: 'repeat', delayMs }
    const pass = planPass(context, account)
    const outcome = await withServers(ownServersRequest(context, account), async (session) => {
      const result = await look(context, session, pass)
      return result === undefined ? { kind: 'next', reason: 'refused' } : { kind: 'done', value: result }
    })
    if (outcome.kind === 'all-failed') {
      const reason = outcome.failures.map(({ hostPort, reason: why }) => `${hostPort} ${why}`).join(', ')
      return { kind: 'retry', reason, delayMs }
    }
    const due = await context.store.write('recordPoll', {
      accountId,
      ...outcome.value,
      isFull: pass.sinceMs === undefined,
      startedMs: pass.startedMs,
    })
    return { kind: 'repeat', delayMs, due }
  }
}

function pollDelay(context: BridgeContext, account: Account): number {
  const base = context.isConnected(account.id) ? context.pollMs : context.pollMs * IDLE_FACTOR
  return jittered(base, context.random())
}

function planPass(context: BridgeContext, account: Account): Pass {
  const startedMs = context.clock.now()
  const { succeededMs, fullMs } = pollTimes(context.store.read, account.id)
  // A last look in the future is of a clock that was wrong: it says nothing about what we have seen.
  const isFull =
    succeededMs === null ||
    fullMs === null ||
    Math.max(succeededMs, fullMs) > startedMs ||
    startedMs - fullMs >= FULL_EVERY_MS
  const asksOld = isFull || Math.floor(startedMs / OLD_EVERY_MS) > Math.floor(succeededMs / OLD_EVERY_MS)
  return {
    account,
    startedMs,
    sinceMs: isFull ? undefined : succeededMs - SINCE_OVERLAP_MS,
    wanted: openAcknowledgments(context.store.read, account.id, MAX_ACKNOWLEDGMENTS)
      .filter(({ postedMs }) => asksOld || startedMs - postedMs < FRESH_MS)
      .map(({ id }) => id),
    judgeWork: createWorkJudge(context, account, startedMs),
  }
}

/** Undefined: this server refuses what it should answer; the next one is asked. */
async function look(context: BridgeContext, session: CmSession, pass: Pass): Promise<PassResult | undefined> {
  const result: PassResult = { announcements: [], acknowledged: [] }
  for (const prefix of polledMailboxes(pass.account.network, pass.startedMs)) {
    const key = mailboxHash(prefix, pass.account.keyId)
    const reply = await session.getBlock(key, pass.sinceMs)
    if (reply.kind === 'refused') return undefined
    if (reply.kind !== 'block') continue
    result.announcements.push(
      ...readMailbox(context, { pass, server: session.hostPort, key, text: reply.text }),
    )
  }
  for (const id of pass.wanted) {
    const reply = await session.getBlock(id as string as BlockKey)
    if (reply.kind !== 'block') continue
    const { secret } = parseAcknowledgment(reply.text).acknowledgment
    if (secret !== undefined && acknowledgmentId(idBytes(secret)) === id) result.acknowledged.push(id)
  }
  return result
}

interface Mailbox {
  readonly pass: Pass
  readonly server: string
  readonly key: BlockKey
  readonly text: string
}

/** New records that are for us: recipient and mailbox are checked, which the reference does not do (CM wire S8). */
function readMailbox(context: BridgeContext, mailbox: Mailbox): FoundAnnouncement[] {
  const { account } = mailbox.pass
  const parsed = parseMessageAnnouncements(mailbox.text)
  if (parsed.kind !== 'ok') {
    context.log.warn({ server: mailbox.server, kind: parsed.kind }, 'a mailbox at the server cannot be read')
    return []
  }
  const rules = { network: 'server', nowMs: context.clock.now() } as const
  return parsed.records.flatMap((record) => {
    const { announcement } = record
    if (announcement.recipient !== account.keyId) return []
    if (mailboxHash(announcement.mailboxPrefix, account.keyId) !== mailbox.key) return []
    const dateMs = parseUtcTime(announcement.date ?? '')
    if (judgeDate('message-announcement', dateMs, rules) !== undefined) return []
    const id = messageIdOf(announcement)
    if (
      announcement.dataBlocks.length === 0 ||
      knowsAnnouncement(context.store.read, account.id, { id, messageHash: announcement.messageHash })
    )
      return []
    const work = mailbox.pass.judgeWork(
      announcement,
      acceptedProofOfWork(account.network, mailbox.pass.startedMs),
    )
    return [
      {
        announcementId: id,
        messageHash: announcement.messageHash,
        record: record.text,
        dataBlocks: announcement.dataBlocks,
        hasEnoughWork: work.kind !== 'too-little',
        bypassKeyId: work.kind === 'token' ? work.keyId : undefined,
        server: mailbox.server,
      },
    ]
  })
}

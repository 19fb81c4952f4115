import { duration } from '../base/clock.ts'
import { parseAcknowledgment } from '../cm/acknowledgment.ts'
import { claimAddress } from '../cm/address.ts'
import { blockType } from '../cm/block-text.ts'
import { CmProtocolError } from '../cm/client/cm-protocol-error.ts'
import type { CmSession } from '../cm/client/cm-session.ts'
import type { GetOutcome } from '../cm/client/read-reply.ts'
import {
  type AcknowledgmentId,
  acknowledgmentId,
  addressHash,
  type BlockKey,
  idBytes,
  keyAnnouncementKey,
  mailboxHash,
} from '../cm/ids.ts'
import type { Account } from '../store/account-queries.ts'
import type { FoundAnnouncement } from '../store/inbound-operations.ts'
import { type MailPlace, pollTimes } from '../store/inbound-queries.ts'
import { openAcknowledgments } from '../store/outbound-queries.ts'
import type { Question } from './ask-servers.ts'
import type { BridgeContext } from './bridge-context.ts'
import { createWorkJudge, type WorkJudge } from './bypass-tokens.ts'
import { polledMailboxes } from './own-announcement.ts'
import { readMailbox } from './read-mailbox.ts'

/** What one look at an account's servers asks for, and what it found (design 8.1). */

/** How far back SINCE looks behind the last success: embargoed mail carries old dates (CM wire 10.1 point 24). */
const SINCE_OVERLAP_MS = 4 * duration.day
const FULL_EVERY_MS = duration.day
/** A flooded mailbox is asked for what is that much newer than the last look alone, and in full again after an hour. */
const FLOOD_OVERLAP_MS = 10 * duration.minute
const FLOODED_FOR_MS = duration.hour
/** Acknowledgments asked for in one pass; the rest waits for the next. */
const MAX_ACKNOWLEDGMENTS = 500
/** After this much of a pass no more of them are asked for: new mail that was found waits for its end. */
const ASK_FOR_MS = 30 * duration.second
/** Younger ones are asked for in every pass, older ones every quarter of an hour (design 8.1). */
const FRESH_MS = duration.day
const OLD_EVERY_MS = 15 * duration.minute

/** One look; the lists fill while its questions are answered. */
export interface PollPass {
  readonly place: MailPlace
  readonly account: Account
  readonly startedMs: number
  readonly sinceMs: number | undefined
  /** From here on when the mailbox holds more than a reply may have. */
  readonly floodSinceMs: number
  /** Until when each mailbox counts as flooded. */
  readonly flooded: Map<BlockKey, number>
  readonly judgeWork: WorkJudge
  readonly announcements: FoundAnnouncement[]
  readonly acknowledged: AcknowledgmentId[]
  /** Our own key or claim is no more at the server. */
  isForgotten: boolean
}

/** Decides how far back this look goes. */
export function planPass(
  context: BridgeContext,
  { account, place, flooded }: Pick<PollPass, 'account' | 'place' | 'flooded'>,
): PollPass {
  const startedMs = context.clock.now()
  const { succeededMs, fullMs } = pollTimes(context.store.read, account.id, place)
  // A last look in the future is of a clock that was wrong: it says nothing about what we have seen.
  const isFull =
    succeededMs === null ||
    fullMs === null ||
    Math.max(succeededMs, fullMs) > startedMs ||
    startedMs - fullMs >= FULL_EVERY_MS
  return {
    place,
    account,
    startedMs,
    sinceMs: isFull ? undefined : succeededMs - SINCE_OVERLAP_MS,
    floodSinceMs: Math.min(succeededMs ?? startedMs, startedMs) - FLOOD_OVERLAP_MS,
    flooded,
    judgeWork: createWorkJudge(context, account, startedMs),
    announcements: [],
    acknowledged: [],
    isForgotten: false,
  }
}

/** Mailboxes first; in a full look at the own servers our own key and claim too; then acknowledgments. */
export function questionsOf(context: BridgeContext, pass: PollPass): Question[] {
  const { account, startedMs, sinceMs, place } = pass
  const mailboxes = polledMailboxes(account.network, startedMs).map((prefix) =>
    mailboxQuestion(context, pass, prefix),
  )
  const wanted = wantedAcknowledgments(context, pass).map((id) => acknowledgmentQuestion(context, pass, id))
  const isOwnFull = place === 'own' && sinceMs === undefined
  return [...mailboxes, ...(isOwnFull ? ownBlockQuestions(context, pass) : []), ...wanted]
}

function mailboxQuestion(context: BridgeContext, pass: PollPass, prefix: string): Question {
  const key = mailboxHash(prefix, pass.account.keyId)
  return {
    name: `mailbox ${prefix}`,
    async ask(session) {
      let reply = await getMailbox(session, pass, key)
      // The server is writing it right now (CM wire 10.1 point 25).
      if (reply.kind === 'not-yet') reply = await getMailbox(session, pass, key)
      if (reply.kind === 'refused') return 'refused'
      if (reply.kind === 'block') {
        const { account, judgeWork } = pass
        const mailbox = { account, judgeWork, server: session.hostPort, key, text: reply.text }
        pass.announcements.push(...(await readMailbox(context, mailbox)))
      }
      return 'answered'
    },
  }
}

/**
 * Anybody can fill a mailbox at the server's floor of work (CM wire S9): what does not fit a reply is asked for again
 * without what was there at the last look, so that new mail still comes.
 */
async function getMailbox(session: CmSession, pass: PollPass, key: BlockKey): Promise<GetOutcome> {
  const { flooded, startedMs, sinceMs, floodSinceMs } = pass
  const isFlooded = startedMs < (flooded.get(key) ?? 0)
  try {
    return await session.getBlock(key, isFlooded ? floodSinceMs : sinceMs)
  } catch (error) {
    const isTooLarge = error instanceof CmProtocolError && error.code === 'reply-too-large'
    if (isTooLarge) flooded.set(key, startedMs + FLOODED_FOR_MS)
    throw error
  }
}

function wantedAcknowledgments(
  context: BridgeContext,
  { account, startedMs, place }: PollPass,
): AcknowledgmentId[] {
  const { succeededMs } = pollTimes(context.store.read, account.id, place)
  const asksOld =
    succeededMs === null || Math.floor(startedMs / OLD_EVERY_MS) > Math.floor(succeededMs / OLD_EVERY_MS)
  return openAcknowledgments(context.store.read, account.id, MAX_ACKNOWLEDGMENTS)
    .filter(({ postedMs }) => asksOld || startedMs - postedMs < FRESH_MS)
    .map(({ id }) => id)
}

function acknowledgmentQuestion({ clock }: BridgeContext, pass: PollPass, id: AcknowledgmentId): Question {
  return {
    name: `acknowledgment ${id}`,
    async ask(session) {
      // The list is in another order at each pass.
      if (clock.now() - pass.startedMs > ASK_FOR_MS) return 'answered'
      const reply = await session.getBlock(id as string as BlockKey)
      if (reply.kind === 'refused') return 'refused'
      if (reply.kind === 'block') {
        const { secret } = parseAcknowledgment(reply.text).acknowledgment
        if (secret !== undefined && acknowledgmentId(idBytes(secret)) === id) pass.acknowledged.push(id)
      }
      return 'answered'
    },
  }
}

/** A server that lost our key is told again before the week is over; only what was there can be lost. */
function ownBlockQuestions(context: BridgeContext, pass: PollPass): Question[] {
  const { account } = pass
  if (pollTimes(context.store.read, account.id).announcedMs === null) return []
  const own = [
    { name: 'own key', key: keyAnnouncementKey(account.keyId), type: 'key-announcement' },
    { name: 'own claim', key: addressHash(claimAddress(account.address)), type: 'address-claim' },
  ] as const
  return own.map(({ name, key, type }) => ({
    name,
    async ask(session) {
      const reply = await session.getBlock(key)
      if (reply.kind === 'refused') return 'refused'
      const isThere = reply.kind === 'block' && blockType(reply.text) === type
      if (!isThere && reply.kind !== 'not-yet') pass.isForgotten = true
      return 'answered'
    },
  }))
}

import type { BlockKey } from '../../cm/ids.ts'
import { announceRow } from '../../store/account-network-operations.ts'
import type { Account } from '../../store/account-queries.ts'
import { type MailPlace, pollTimes } from '../../store/inbound-queries.ts'
import type { DueWork } from '../../store/work-rows.ts'
import { placeRequest } from '../account-places.ts'
import { askServers } from '../ask-servers.ts'
import { type BridgeContext, requireAccount } from '../bridge-context.ts'
import { isLongBroken, tellOwnServer } from '../own-server-notices.ts'
import { type PollPass, planPass, questionsOf } from '../poll-pass.ts'
import { jittered } from '../retry-delay.ts'
import type { Stage, StageContext } from '../worker.ts'

/** Nobody is waiting: polled that many times more seldom (design 8.1: 300 s instead of 60 s). */
const IDLE_FACTOR = 5

/**
 * One look at the account's mailboxes and open acknowledgments at its own servers, or at those it left while they
 * count; on one connection when all goes well (design 8.1, CM wire 8.6).
 */
export function createPollStage(context: BridgeContext, place: MailPlace): Stage {
  const flooded = new Map<BlockKey, number>()
  return async (stage) => {
    const account = requireAccount(context, stage.accountId)
    const delayMs = pollDelay(context, account)
    const request = placeRequest(context, account, place)
    if (request === undefined) {
      return place === 'own' ? { kind: 'repeat', delayMs } : endOldServers(context, stage)
    }
    const pass = planPass(context, { account, place, flooded })
    const asked = await askServers(request, questionsOf(context, pass))
    if (!asked.isHeard) {
      const { complaint: reason = 'no server' } = asked
      if (place === 'own') await tellWhenLong(context, account, { failures: stage.failures, reason })
      return { kind: 'retry', reason, delayMs }
    }
    const due = await record(context, pass, asked.isComplete)
    const { complaint: reason } = asked
    return reason === undefined ? { kind: 'repeat', delayMs, due } : { kind: 'retry', reason, delayMs, due }
  }
}

/** Their time is over. */
async function endOldServers(context: BridgeContext, { lease, accountId }: StageContext): ReturnType<Stage> {
  const due = await context.store.write('endOldServers', { lease, accountId })
  return due === undefined ? { kind: 'lease-lost' } : { kind: 'moved', due }
}

async function record(
  context: BridgeContext,
  pass: PollPass,
  isComplete: boolean,
): Promise<readonly DueWork[]> {
  const { account, place, announcements, acknowledged, startedMs } = pass
  const due = await context.store.write('recordPoll', {
    accountId: account.id,
    place,
    servers: place === 'own' ? account.servers : (account.network.old?.servers ?? []),
    announcements,
    acknowledged,
    isFull: pass.sinceMs === undefined,
    startedMs: isComplete ? startedMs : null,
  })
  if (!pass.isForgotten) return due
  const woken = await context.store.write('wakeWork', { row: announceRow(account.id) })
  return woken === undefined ? due : [...due, woken]
}

function pollDelay(context: BridgeContext, account: Account): number {
  const base = context.isConnected(account.id) ? context.pollMs : context.pollMs * IDLE_FACTOR
  return jittered(base, context.random())
}

async function tellWhenLong(
  context: BridgeContext,
  account: Account,
  { failures, reason }: { readonly failures: number; readonly reason: string },
): Promise<void> {
  const sinceMs = pollTimes(context.store.read, account.id).succeededMs ?? account.createdAtMs
  if (!isLongBroken(context.clock.now(), { sinceMs, failures })) return
  await tellOwnServer(context, account, { kind: 'own-mail-not-fetched', sinceMs, reason })
}

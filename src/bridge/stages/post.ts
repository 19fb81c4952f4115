import type { RecipientResolution } from '../../store/outbound-operations.ts'
import {
  type OutboundMessage,
  outboundMessage,
  outboundRecipients,
  type UnpostedBlock,
  unpostedBlocks,
} from '../../store/outbound-queries.ts'
import type { BridgeContext } from '../bridge-context.ts'
import { inParallel, KeyedLimit } from '../in-parallel.ts'
import { markPosted, type PostPass, postBlocks } from '../post-blocks.ts'
import { type PostRules, postRoutes } from '../post-routes.ts'
import { reportDelay } from '../report-delay.ts'
import { isGivenUp, retryDelayMs } from '../retry-delay.ts'
import { wakeWaiting } from '../wake-waiting.ts'
import type { Stage, StageOutcome } from '../worker.ts'

/** Targets of one message that are posted to side by side: one that does not answer must not hold up the others. */
const PARALLEL_TARGETS = 4
/** Connections to one list of servers side by side: the reference has 20 for everybody (CM wire 7.1). */
const PARALLEL_PER_PLACE = 4

/**
 * Posts what is left of a message, per target: its data blocks, then its announcements (design 4). Posting a block
 * twice has no effect, so a pass that was cut off is simply done again. A message with a time goes to the own server
 * before that time (`STORE PROXY … AFTER`); what did not get there in time is posted as usual.
 */
export function createPostStage(context: BridgeContext): Stage {
  const limit = new KeyedLimit(PARALLEL_PER_PLACE)
  return async (stage) => {
    const outboundId = Number(stage.lease.row.slice(2))
    const message = outboundMessage(context.store.read, outboundId)
    if (message === undefined) return { kind: 'lease-lost' }
    const pass: PostPass = { context, stage, unmarked: [] }
    const posted = await postAll(pass, { message, limit })
    if (posted === 'stopped') {
      await markPosted(pass)
      return { kind: 'lease-lost' }
    }
    return finish(pass, message, posted)
  }
}

interface Posted {
  /** What is in the way at each target. */
  readonly problems: readonly string[]
  /** Servers that took something. */
  readonly answering: readonly string[]
}

async function postAll(
  pass: PostPass,
  { message, limit }: { readonly message: OutboundMessage; readonly limit: KeyedLimit },
): Promise<Posted | 'stopped'> {
  const { context } = pass
  const targets = [...byTarget(unpostedBlocks(context.store.read, message.id))]
  const outcomes = await inParallel(targets, PARALLEL_TARGETS, ([target, blocks]) =>
    limit.run(placeOf(pass, message, target), async () => {
      const routes = postRoutes(target, rulesOf(context, message))
      return { target, outcome: await postBlocks(pass, blocks, routes) }
    }),
  )
  if (outcomes.some(({ outcome }) => outcome.kind === 'stopped')) return 'stopped'
  return {
    problems: outcomes.flatMap(({ target, outcome }) =>
      outcome.kind === 'failed' ? [`${target}: ${outcome.problem}`] : [],
    ),
    answering: outcomes.flatMap(({ outcome }) => (outcome.kind === 'posted' ? [outcome.hostPort] : [])),
  }
}

function rulesOf({ postByProxy, clock }: BridgeContext, { releaseMs }: OutboundMessage): PostRules {
  return { byProxy: postByProxy, releaseMs, nowMs: clock.now() }
}

/** Where the blocks for a target are handed over: its servers, or the account's own, which take those for all targets. */
function placeOf({ context, stage }: PostPass, message: OutboundMessage, target: string): string {
  const [first] = postRoutes(target, rulesOf(context, message))
  return first?.kind === 'own-server' ? `own servers of ${stage.accountId}` : target
}

function byTarget(blocks: readonly UnpostedBlock[]): Map<string, UnpostedBlock[]> {
  const targets = new Map<string, UnpostedBlock[]>()
  for (const block of blocks) targets.set(block.target, [...(targets.get(block.target) ?? []), block])
  return targets
}

async function finish(pass: PostPass, message: OutboundMessage, posted: Posted): Promise<StageOutcome> {
  const { context, stage } = pass
  const { problems, answering } = posted
  const gaveUp = isGivenUp(context.clock.now() - message.dueMs, stage.failures)
  if (problems.length > 0) await reportDelay(context, message)
  const delayMs = retryDelayMs(stage.failures, context.random())
  const outcome = await context.store.write('finishPost', {
    lease: stage.lease,
    outboundId: message.id,
    postedBlockIds: pass.unmarked,
    failures: gaveUp ? giveUp(context, message.id, problems) : [],
    resolveDelayMs: delayMs,
  })
  const woken = await wakeWaiting(context, answering)
  switch (outcome.kind) {
    case 'ok':
      return { kind: 'moved', due: [...outcome.due, ...woken] }
    case 'lease-lost':
      return outcome
    case 'incomplete': {
      // The time itself is the last moment to try: from then on it goes directly.
      const untilDueMs = message.dueMs - context.clock.now()
      const nextMs = untilDueMs > 0 ? Math.min(delayMs, untilDueMs) : delayMs
      return { kind: 'retry', reason: problems.join('; '), delayMs: nextMs }
    }
  }
}

function giveUp(
  context: BridgeContext,
  outboundId: number,
  problems: readonly string[],
): RecipientResolution[] {
  return outboundRecipients(context.store.read, outboundId)
    .filter(({ state, copyId }) => state === 'resolved' && copyId !== null)
    .map(({ id }) => ({
      recipientId: id,
      kind: 'failed',
      statusCode: '4.4.1',
      diagnostic: `no server of the recipient took the message: ${problems.join('; ')}`,
    }))
}

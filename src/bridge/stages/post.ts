import { join } from 'node:path'
import { duration } from '../../base/clock.ts'
import type { CmSession } from '../../cm/client/cm-session.ts'
import { describeFailures, type ServerAttempt, withServers } from '../../cm/client/with-servers.ts'
import type { RecipientResolution } from '../../store/outbound-operations.ts'
import {
  outboundMessage,
  outboundRecipients,
  type UnpostedBlock,
  unpostedBlocks,
} from '../../store/outbound-queries.ts'
import { type BridgeContext, namedServersRequest, serversOfTransport } from '../bridge-context.ts'
import { readSlice } from '../encode-blocks.ts'
import { renewBlock } from '../renew-block.ts'
import { reportDelay } from '../report-delay.ts'
import { GIVE_UP_AFTER_MS, retryDelayMs } from '../retry-delay.ts'
import type { Stage, StageContext } from '../worker.ts'

/** Servers drop blocks older than ten days although they answer DONE (CM wire 8.5): renewed well before. */
const RENEW_AFTER_MS = 7 * duration.day

/**
 * Posts what is left of a message, per target: its data blocks, then its announcements (design 4). Posting a block
 * twice has no effect, so a pass that was cut off is simply done again.
 */
export function createPostStage(context: BridgeContext): Stage {
  return async (stage) => {
    const outboundId = Number(stage.lease.row.slice(2))
    const message = outboundMessage(context.store.read, outboundId)
    if (message === undefined) return { kind: 'lease-lost' }
    const problems = await postAll(context, stage, unpostedBlocks(context.store.read, outboundId))
    if (problems === LEASE_LOST) return { kind: 'lease-lost' }
    const gaveUp = context.clock.now() - message.acceptedMs >= GIVE_UP_AFTER_MS
    if (problems.length > 0) await reportDelay(context, message)
    const outcome = await context.store.write('finishPost', {
      lease: stage.lease,
      outboundId,
      failures: gaveUp ? giveUp(context, outboundId, problems) : [],
      resolveDelayMs: retryDelayMs(stage.failures, context.random()),
    })
    if (outcome.kind === 'incomplete') return { kind: 'retry', reason: problems.join('; ') }
    return outcome.kind === 'ok' ? { kind: 'moved', due: outcome.due } : outcome
  }
}

/** What is in the way at each target. */
async function postAll(
  context: BridgeContext,
  stage: StageContext,
  unposted: readonly UnpostedBlock[],
): Promise<string[] | typeof LEASE_LOST> {
  const problems: string[] = []
  for (const [target, blocks] of byTarget(unposted)) {
    const problem = await postToTarget(context, stage, { target, blocks })
    if (problem === LEASE_LOST) return LEASE_LOST
    if (problem !== undefined) problems.push(`${target}: ${problem}`)
  }
  return problems
}

function byTarget(blocks: readonly UnpostedBlock[]): Map<string, UnpostedBlock[]> {
  const targets = new Map<string, UnpostedBlock[]>()
  for (const block of blocks) targets.set(block.target, [...(targets.get(block.target) ?? []), block])
  return targets
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

/** Taken out of the Outbox meanwhile: no server gets the rest (design 7.10). */
const LEASE_LOST = Symbol('lease lost')

/** Undefined when everything was taken; else what is in the way. */
async function postToTarget(
  context: BridgeContext,
  stage: StageContext,
  { target, blocks }: { readonly target: string; readonly blocks: readonly UnpostedBlock[] },
): Promise<string | typeof LEASE_LOST | undefined> {
  const left = new Set(blocks)
  const outcome = await withServers(
    namedServersRequest(context, serversOfTransport(target), stage.accountId),
    async (session): Promise<ServerAttempt<typeof LEASE_LOST | undefined>> => {
      for (const block of left) {
        if (stage.signal.aborted) return { kind: 'next', reason: 'timeout' }
        const outcome = await postBlock(context, { session, stage, block })
        if (outcome === 'refused') return { kind: 'next', reason: 'refused' }
        if (outcome === 'lease-lost') return { kind: 'done', value: LEASE_LOST }
        left.delete(block)
      }
      return { kind: 'done', value: undefined }
    },
  )
  if (outcome.kind === 'done') return outcome.value
  return describeFailures(outcome.failures)
}

async function postBlock(
  context: BridgeContext,
  {
    session,
    stage,
    block,
  }: { readonly session: CmSession; readonly stage: StageContext; readonly block: UnpostedBlock },
): Promise<'posted' | 'refused' | 'lease-lost'> {
  const { payload } = block
  const bytes =
    payload === null
      ? null
      : await readSlice(join(context.directories.outbound, payload.file), payload.start, payload.bytes)
  let { text } = block
  if (context.clock.now() - block.createdMs > RENEW_AFTER_MS) {
    text = await renewBlock(context, { block, payload: bytes, signal: stage.signal })
    const held = await context.store.write('renewBlockText', { lease: stage.lease, blockId: block.id, text })
    if (!held) return 'lease-lost'
  }
  const reply =
    bytes === null
      ? await session.storeText(block.key, text)
      : await session.storeData(block.key, text, bytes)
  if (reply.kind !== 'done') return 'refused'
  const held = await context.store.write('markBlockPosted', { lease: stage.lease, blockId: block.id })
  return held ? 'posted' : 'lease-lost'
}

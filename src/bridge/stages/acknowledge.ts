import { duration } from '../../base/clock.ts'
import { acknowledgmentBlock } from '../../store/outbound-queries.ts'
import type { DueWork } from '../../store/work-rows.ts'
import type { BridgeContext } from '../bridge-context.ts'
import { withinTime } from '../lookup/within-time.ts'
import { postBlocks } from '../post-blocks.ts'
import { postRoutes } from '../post-routes.ts'
import { wakeWaiting } from '../wake-waiting.ts'
import type { Stage } from '../worker.ts'

/** Acknowledgments are given up three days after their Date, as the reference does (CM wire 8.5 point 6). */
const GIVE_UP_AFTER_MS = 3 * duration.day
/**
 * One try at all servers together. The sender wrote the list: sixteen servers that answer nothing, for each message they
 * send us, would take the places of all other work for hours.
 */
const TRY_MS = 2 * duration.minute

/** Posts one acknowledgment to its sender's servers, without login unless the own server passes it on (CM wire 8.7). */
export function createAcknowledgeStage(context: BridgeContext): Stage {
  return async (stage) => {
    const { lease } = stage
    const nowMs = context.clock.now()
    const blockId = Number(lease.row.slice(2))
    const block = acknowledgmentBlock(context.store.read, blockId)
    const isTooOld = block !== undefined && nowMs - block.createdMs > GIVE_UP_AFTER_MS
    if (block === undefined || isTooOld) return finish(context, lease, { blockId, due: [] })
    const routes = postRoutes(block.target, { byProxy: context.postByProxy, releaseMs: null, nowMs })
    const limits = { clock: context.clock, timeMs: TRY_MS, signal: stage.signal }
    const outcome = await withinTime(limits, (signal) =>
      postBlocks({ context, stage: { ...stage, signal }, unmarked: [] }, [block], routes),
    )
    if (outcome === 'time-up') {
      return stage.signal.aborted
        ? { kind: 'lease-lost' }
        : { kind: 'retry', reason: `${block.target}: no answer in time` }
    }
    switch (outcome.kind) {
      case 'posted':
        return finish(context, lease, { blockId, due: await wakeWaiting(context, [outcome.hostPort]) })
      case 'failed':
        return { kind: 'retry', reason: outcome.problem }
      case 'stopped':
        return { kind: 'lease-lost' }
    }
  }
}

async function finish(
  context: BridgeContext,
  lease: Parameters<Stage>[0]['lease'],
  { blockId, due }: { readonly blockId: number; readonly due: readonly DueWork[] },
): ReturnType<Stage> {
  const held = await context.store.write('finishAcknowledgment', { lease, blockId })
  return held ? { kind: 'moved', due } : { kind: 'lease-lost' }
}

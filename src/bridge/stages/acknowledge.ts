import { duration } from '../../base/clock.ts'
import { describeFailures, withServers } from '../../cm/client/with-servers.ts'
import { acknowledgmentBlock } from '../../store/outbound-queries.ts'
import { type BridgeContext, namedServersRequest, serversOfTransport } from '../bridge-context.ts'
import type { Stage } from '../worker.ts'

/** Acknowledgments are given up three days after their Date, as the reference does (CM wire 8.5 point 6). */
const GIVE_UP_AFTER_MS = 3 * duration.day

/** Posts one acknowledgment to its sender's servers, without login (CM wire 8.7). */
export function createAcknowledgeStage(context: BridgeContext): Stage {
  return async ({ lease, accountId }) => {
    const blockId = Number(lease.row.slice(2))
    const block = acknowledgmentBlock(context.store.read, blockId)
    const isTooOld = block !== undefined && context.clock.now() - block.createdMs > GIVE_UP_AFTER_MS
    if (block === undefined || isTooOld) return finish(context, lease, blockId)
    const outcome = await withServers(
      namedServersRequest(context, serversOfTransport(block.target), accountId),
      async (session) => {
        const reply = await session.storeText(block.key, block.text)
        return reply.kind === 'done'
          ? { kind: 'done', value: undefined }
          : { kind: 'next', reason: 'refused' }
      },
    )
    if (outcome.kind === 'done') return finish(context, lease, blockId)
    return { kind: 'retry', reason: describeFailures(outcome.failures) }
  }
}

async function finish(
  context: BridgeContext,
  lease: Parameters<Stage>[0]['lease'],
  blockId: number,
): ReturnType<Stage> {
  const held = await context.store.write('finishAcknowledgment', { lease, blockId })
  return held ? { kind: 'moved', due: [] } : { kind: 'lease-lost' }
}

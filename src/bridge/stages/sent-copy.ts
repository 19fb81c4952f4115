import type { BridgeContext } from '../bridge-context.ts'
import type { Stage } from '../worker.ts'

/** Makes our Sent copy when the client did not put its own there (design 7.10). */
export function createSentCopyStage(context: BridgeContext): Stage {
  return async ({ lease }) => {
    const outboundId = Number(lease.row.slice('sent'.length))
    const outcome = await context.store.write('makeSentCopy', { lease, outboundId })
    return outcome === 'done' ? { kind: 'moved', due: [] } : { kind: 'lease-lost' }
  }
}

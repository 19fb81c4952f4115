import { outboundMessage } from '../../store/outbound-queries.ts'
import type { BridgeContext } from '../bridge-context.ts'
import { clientCopies } from '../client-copies.ts'
import type { Stage } from '../worker.ts'

/** Makes our Sent copy when the client did not put its own there (design 7.10). */
export function createSentCopyStage(context: BridgeContext): Stage {
  return async ({ lease, accountId }) => {
    const outboundId = Number(lease.row.slice('sent'.length))
    const { read } = context.store
    const messageId = outboundMessage(read, outboundId)?.messageId ?? null
    // An APPEND that ran side by side with the submission saw nothing of it, nor the submission of the APPEND.
    const { sentUid: clientUid } = clientCopies(read, accountId, messageId)
    const outcome = await context.store.write('makeSentCopy', { lease, outboundId, clientUid })
    return outcome === 'done' ? { kind: 'moved', due: [] } : { kind: 'lease-lost' }
  }
}

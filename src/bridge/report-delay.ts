import type { OutboundMessage } from '../store/outbound-queries.ts'
import type { BridgeContext } from './bridge-context.ts'
import { DELAY_REPORT_AFTER_MS } from './retry-delay.ts'

/**
 * Has the sender told, once, that a message takes long. The reconciler finds the row within a minute: a report of a
 * delay is in no hurry.
 */
export async function reportDelay(context: BridgeContext, message: OutboundMessage): Promise<void> {
  if (message.delayReportedMs !== null) return
  if (context.clock.now() - message.dueMs < DELAY_REPORT_AFTER_MS) return
  const { accountId, id: outboundId } = message
  await context.store.write('scheduleDelayReport', { accountId, outboundId })
}

import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'
import { type DueWork, scheduleWork } from './work-rows.ts'

/**
 * Recipients of a message reached an end that may have to be reported: the report is made by a stage of its own, which
 * looks at what was asked for (NOTIFY, MAIL FROM:<>). Several ends at once share a report.
 */
export function scheduleReport(tx: WriteTransaction, accountId: AccountId, outboundId: number): DueWork {
  return scheduleWork(tx, { row: `rp${outboundId}`, accountId, stage: 'report', delayMs: 0 })
}

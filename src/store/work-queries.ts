import type { AccountId } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'
import type { DueWork } from './work-rows.ts'

interface WorkRow {
  readonly row: string
  readonly account_id: AccountId
  readonly stage: string
  readonly attempt: number
  readonly failures: number
  readonly next_attempt_ms: number
  readonly last_error: string | null
  readonly lease: string | null
}

function toDueWork(row: WorkRow): DueWork {
  return { row: row.row, stage: row.stage, attempt: row.attempt, nextAttemptMs: row.next_attempt_ms }
}

/** Rows nobody runs at the moment, soonest first, at most `limit`. */
export function waitingWork(read: ReadConnection, limit: number): DueWork[] {
  return read
    .all<WorkRow>('SELECT * FROM work WHERE lease IS NULL ORDER BY next_attempt_ms LIMIT ?', limit)
    .map(toDueWork)
}

/** Rows this process holds. */
export function leasedRows(read: ReadConnection, incarnation: string): string[] {
  return read
    .all<{ readonly row: string }>('SELECT row FROM work WHERE lease = ?', incarnation)
    .map(({ row }) => row)
}

/** For people: what waits, what failed last and when it is tried again. */
export interface WorkReport extends DueWork {
  readonly accountId: AccountId
  readonly failures: number
  readonly lastError: string | null
  readonly running: boolean
}

/** The first `limit` rows by the time they are due. */
export function workReport(read: ReadConnection, limit: number): WorkReport[] {
  return read.all<WorkRow>('SELECT * FROM work ORDER BY next_attempt_ms LIMIT ?', limit).map((row) => ({
    ...toDueWork(row),
    accountId: row.account_id,
    failures: row.failures,
    lastError: row.last_error,
    running: row.lease !== null,
  }))
}

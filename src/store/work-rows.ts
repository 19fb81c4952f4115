import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'

/**
 * Scheduled work: one row for each thing that still has to run, with attempt, next time and last error.
 * A stage begins by claiming its row (compare and set) and ends, in the transaction that makes its outputs
 * visible, by moving the row on. A job of another attempt, or of a process that died, changes nothing (design 3).
 */

/** The right to run one attempt of one row. */
export interface Lease {
  readonly row: string
  readonly attempt: number
  /** The process that holds it; a new one at every start. */
  readonly incarnation: string
}

/** A row that waits to be run; what a queue job is made from. */
export interface DueWork {
  readonly row: string
  readonly stage: string
  readonly attempt: number
  /** Milliseconds since 1970. */
  readonly nextAttemptMs: number
}

export interface ClaimedWork {
  readonly accountId: AccountId
  readonly stage: string
  /** Tries of this stage in a row that failed before this one. */
  readonly failures: number
}

export interface ScheduleRequest {
  readonly row: string
  readonly accountId: AccountId
  readonly stage: string
  readonly delayMs: number
}

/** Makes or moves a row on to a stage, as a new attempt; a lease on it ends. */
export function scheduleWork(tx: WriteTransaction, request: ScheduleRequest): DueWork {
  const { row, accountId, stage, delayMs } = request
  tx.sql(
    `INSERT INTO work (row, account_id, stage, attempt, next_attempt_ms) VALUES (?1, ?2, ?3, 1, ?4)
     ON CONFLICT (row) DO UPDATE SET stage = ?3, attempt = attempt + 1, failures = 0, last_error = NULL, lease = NULL,
       next_attempt_ms = CASE wake WHEN 1 THEN ?5 ELSE ?4 END, wake = 0`,
  ).run(row, accountId, stage, tx.nowMs + delayMs, tx.nowMs)
  return dueWork(tx, row)
}

/** The row is finished: nothing of it will run again. */
export function endWork(tx: WriteTransaction, row: string): void {
  tx.sql('DELETE FROM work WHERE row = ?').run(row)
}

/** Runs a waiting row now; one that is running runs again as soon as it ends. Undefined then, and when there is none. */
export function wakeRow(tx: WriteTransaction, row: string): DueWork | undefined {
  const found = tx.sql('SELECT lease FROM work WHERE row = ?').get(row)
  if (found === undefined) return undefined
  if (found.lease !== null) {
    tx.sql('UPDATE work SET wake = 1 WHERE row = ?').run(row)
    return undefined
  }
  tx.sql('UPDATE work SET attempt = attempt + 1, next_attempt_ms = ?2 WHERE row = ?1').run(row, tx.nowMs)
  return dueWork(tx, row)
}

/** True while the lease is held; a stage that lost it must not write. */
export function holdsLease(tx: WriteTransaction, lease: Lease): boolean {
  const row = tx.sql('SELECT lease, attempt FROM work WHERE row = ?').get(lease.row)
  return row?.lease === lease.incarnation && row.attempt === lease.attempt
}

/** What a row asks for now; throws when there is no such row. */
export function dueWork(tx: WriteTransaction, row: string): DueWork {
  const found = tx.sql('SELECT stage, attempt, next_attempt_ms FROM work WHERE row = ?').get(row)
  if (found === undefined) throw new Error(`no work row ${row}`)
  return {
    row,
    stage: String(found.stage),
    attempt: Number(found.attempt),
    nextAttemptMs: Number(found.next_attempt_ms),
  }
}

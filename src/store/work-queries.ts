import type { AccountId } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'
import type { DueWork, Lease } from './work-rows.ts'

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

/** True while the lease is held, as far as is committed; a write must ask again inside its transaction. */
export function isLeaseHeld(read: ReadConnection, { row, attempt, incarnation }: Lease): boolean {
  const found = read.get<{ readonly held: number }>(
    'SELECT 1 AS held FROM work WHERE row = ? AND attempt = ? AND lease = ?',
    row,
    attempt,
    incarnation,
  )
  return found !== undefined
}

/** Whole names in `server=h:p,h:p`: the port of one server begins that of another. */
const NAMES_SERVER = `instr(',' || substr(target, length('server=') + 1) || ',', ',' || ?1 || ',') > 0`

/**
 * Rows that wait, after a failure, to post something to a target that names this server; the longest waits first.
 * `hostPort` as `encodeServerAddress` writes it.
 */
export function rowsWaitingForServer(read: ReadConnection, hostPort: string, limit: number): string[] {
  return read
    .all<{ readonly row: string }>(
      `SELECT row FROM work WHERE failures > 0 AND lease IS NULL AND (
         (stage = 'post' AND EXISTS (SELECT 1 FROM outbound_copies JOIN outbound_blocks ON copy_id = outbound_copies.id
            WHERE outbound_id = CAST(substr(row, 3) AS INTEGER) AND posted_ms IS NULL AND ${NAMES_SERVER}))
         OR (stage = 'acknowledge' AND EXISTS (SELECT 1 FROM outbound_blocks
            WHERE id = CAST(substr(row, 3) AS INTEGER) AND ${NAMES_SERVER})))
       ORDER BY next_attempt_ms DESC LIMIT ?2`,
      hostPort.toLowerCase(),
      limit,
    )
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

import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'
import {
  type ClaimedWork,
  type DueWork,
  dueWork,
  holdsLease,
  type Lease,
  scheduleWork,
  wakeRow,
} from './work-rows.ts'

/** Writes of the worker: claim, retry, repeat, wake (see work-rows.ts). */
export const workOperations = {
  /** Claims one attempt of a row; undefined when it is another attempt, another stage, or already claimed. */
  claimWork(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly stage: string },
  ): ClaimedWork | undefined {
    const { lease, stage } = args
    const claimed = tx
      .sql(
        `UPDATE work SET lease = ?1 WHERE row = ?2 AND attempt = ?3 AND stage = ?4 AND lease IS NULL
         RETURNING account_id, stage, failures`,
      )
      .get(lease.incarnation, lease.row, lease.attempt, stage)
    if (claimed === undefined) return undefined
    return {
      accountId: Number(claimed.account_id),
      stage: String(claimed.stage),
      failures: Number(claimed.failures),
    }
  },

  /** Ends an attempt that did not come through; undefined when the lease was lost. */
  retryWork(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly error: string; readonly delayMs: number },
  ): DueWork | undefined {
    if (!holdsLease(tx, args.lease)) return undefined
    tx.sql(
      `UPDATE work SET attempt = attempt + 1, failures = failures + 1, lease = NULL, last_error = ?2,
         next_attempt_ms = CASE wake WHEN 1 THEN ?4 ELSE ?3 END, wake = 0 WHERE row = ?1`,
    ).run(args.lease.row, args.error, tx.nowMs + args.delayMs, tx.nowMs)
    return dueWork(tx, args.lease.row)
  },

  /** Ends an attempt that came through and has its next run at a fixed distance (polls, renewals). */
  repeatWork(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly delayMs: number },
  ): DueWork | undefined {
    if (!holdsLease(tx, args.lease)) return undefined
    const found = tx.sql('SELECT account_id, stage FROM work WHERE row = ?').get(args.lease.row)
    const { row } = args.lease
    return scheduleWork(tx, {
      row,
      accountId: Number(found?.account_id),
      stage: String(found?.stage),
      delayMs: args.delayMs,
    })
  },

  scheduleWork,

  /** Makes the row, due at once, unless it is there. */
  ensureWork(
    tx: WriteTransaction,
    args: { readonly row: string; readonly accountId: AccountId; readonly stage: string },
  ): DueWork {
    tx.sql(
      `INSERT INTO work (row, account_id, stage, attempt, next_attempt_ms) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING`,
    ).run(args.row, args.accountId, args.stage, tx.nowMs)
    return dueWork(tx, args.row)
  },

  /** Runs a waiting row now; one that is running runs again as soon as it ends. */
  wakeWork(tx: WriteTransaction, args: { readonly row: string }): DueWork | undefined {
    return wakeRow(tx, args.row)
  },

  /** Gives up a lease of a living process whose stage ended without being able to say so. */
  releaseLease(tx: WriteTransaction, args: { readonly row: string; readonly incarnation: string }): void {
    tx.sql('UPDATE work SET lease = NULL, attempt = attempt + 1 WHERE row = ? AND lease = ?').run(
      args.row,
      args.incarnation,
    )
  },

  /** At start, before any worker: leases of dead processes end and their attempt is raised, so that old jobs are no-ops. */
  releaseDeadLeases(tx: WriteTransaction, args: { readonly incarnation: string }): number {
    const released = tx
      .sql(
        'UPDATE work SET lease = NULL, attempt = attempt + 1, next_attempt_ms = ?2 WHERE lease IS NOT NULL AND lease <> ?1',
      )
      .run(args.incarnation, tx.nowMs)
    return Number(released.changes)
  },
}

import { listAccounts } from '../store/account-queries.ts'
import { pollTimes } from '../store/inbound-queries.ts'
import type { ReadConnection } from '../store/read-connection.ts'
import { workReport } from '../store/work-queries.ts'

/** How things stand, as plain data: for `cmbridge status`, beside a running bridge or without one. */
export interface BridgeStatus {
  readonly accounts: number
  /** By address. */
  readonly people: readonly AccountStatus[]
  /** Rows with work to do, by stage. */
  readonly work: Readonly<Record<string, { readonly waiting: number; readonly running: number }>>
  /** Work that failed at least once, the first to be tried again first. */
  readonly failing: readonly FailingWork[]
}

export interface AccountStatus {
  readonly address: string
  /** When its key and claim were last seen at its server, milliseconds since 1970 UTC; null for never. */
  readonly announcedMs: number | null
  /** When its mailboxes were last looked at with success. */
  readonly polledMs: number | null
}

export interface FailingWork {
  readonly row: string
  /** The address of the account whose work it is. */
  readonly account: string
  readonly stage: string
  /** Failed tries in a row. */
  readonly failures: number
  readonly lastError: string
  /** Milliseconds since 1970 UTC. */
  readonly nextAttemptMs: number
}

/** Rows of work looked at; more are not counted. */
const MAX_WORK_ROWS = 10_000
/** Failing rows listed; a broken server makes all of its rows fail the same way. */
const MAX_FAILING_ROWS = 20

export function readStatus(read: ReadConnection): BridgeStatus {
  const report = read.snapshot(() => workReport(read, MAX_WORK_ROWS))
  const work: Record<string, { waiting: number; running: number }> = {}
  for (const { stage, running } of report) {
    work[stage] ??= { waiting: 0, running: 0 }
    work[stage][running ? 'running' : 'waiting'] += 1
  }
  const accounts = listAccounts(read)
  const addresses = new Map(accounts.map(({ id, address }) => [id, address]))
  const failing = report
    .filter((row) => row.failures > 0)
    .slice(0, MAX_FAILING_ROWS)
    .map(({ row, accountId, stage, failures, lastError, nextAttemptMs }) => ({
      row,
      account: addresses.get(accountId) ?? '',
      stage,
      failures,
      lastError: lastError ?? '',
      nextAttemptMs,
    }))
  const people = accounts.map(({ id, address }) => {
    const { announcedMs, succeededMs } = pollTimes(read, id)
    return { address, announcedMs, polledMs: succeededMs }
  })
  return { accounts: people.length, people, work, failing }
}

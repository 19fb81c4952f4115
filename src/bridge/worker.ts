import { type Clock, duration } from '../base/clock.ts'
import type { AccountId } from '../store/ids.ts'
import type { Store } from '../store/open-store.ts'
import { leasedRows, waitingWork } from '../store/work-queries.ts'
import type { ClaimedWork, DueWork, Lease } from '../store/work-rows.ts'
import { type Job, type JobQueue, jobId } from './job-queue.ts'
import type { Log } from './log.ts'
import { retryDelayMs } from './retry-delay.ts'

/**
 * Runs the stages of rows. The queue says when, the row says whether: a job claims its row first and does nothing
 * when somebody else has it or its attempt is over (design 3). The reconciler adds what the queue forgot.
 */

/** What a stage is given. */
export interface StageContext {
  readonly lease: Lease
  readonly accountId: AccountId
  /** Tries of this stage that failed in a row before this one. */
  readonly failures: number
  /** Aborted when the bridge closes: long work ends soon and leaves its row as it is. */
  readonly signal: AbortSignal
}

/** How an attempt ended. Stages that moved their row on themselves say `moved` with what became due. */
export type StageOutcome =
  | { readonly kind: 'moved'; readonly due: readonly DueWork[] }
  /** The same stage again at a fixed distance (polls). */
  | { readonly kind: 'repeat'; readonly delayMs: number; readonly due?: readonly DueWork[] }
  /** It did not come through; tried again with back-off, or after `delayMs` when that is known. */
  | {
      readonly kind: 'retry'
      readonly reason: string
      readonly delayMs?: number
      readonly due?: readonly DueWork[]
    }
  /** Another process or attempt has the row now. */
  | { readonly kind: 'lease-lost' }

export type Stage = (context: StageContext) => Promise<StageOutcome>

export interface WorkerOptions {
  readonly store: Store
  readonly queue: JobQueue
  /** By stage name; a row with a stage nobody knows is an error in the log, and stays. */
  readonly stages: Readonly<Record<string, Stage>>
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
  /** Different at every start. */
  readonly incarnation: string
  /** Stages that run side by side: mostly waits for the network. */
  readonly concurrency: number
}

const RECONCILE_EVERY_MS = duration.minute
/** After the queue was away: its jobs are added again as soon as it is back. */
const RECONCILE_SOON_MS = 2 * duration.second
/** Rows looked at per pass of the reconciler; the next pass takes the next ones. */
const RECONCILE_ROWS = 10_000
/** Jobs on their way to the queue together: what a poll found is not to wait for one answer after the other. */
const ENQUEUED_AT_ONCE = 64
/** Time running stages get to end when the bridge closes. */
const DRAIN_MS = 10 * duration.second

export class StageWorker {
  readonly #options: WorkerOptions
  readonly #closing = new AbortController()
  /** Rows this process claims or runs right now, with the number of jobs that do. */
  readonly #running = new Map<string, number>()
  #cancelReconcile: (() => void) | undefined
  /** The next pass of the reconciler comes soon, because the queue was away. */
  #isLookingSoon: boolean = false
  #reconciling: Promise<void> = Promise.resolve()

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  /** Frees what dead processes held, rebuilds the queue from the rows, then starts. */
  async start(): Promise<void> {
    const { store, queue, incarnation, log } = this.#options
    const released = await store.write('releaseDeadLeases', { incarnation })
    if (released > 0) log.info({ rows: released }, 'work of a stopped process is taken up again')
    queue.process((job) => this.#run(job), { concurrency: this.#options.concurrency })
    await this.reconcile()
    this.#scheduleReconcile()
  }

  /** Puts rows that became due into the queue. A queue that is away is no failure: the reconciler adds the rest. */
  async enqueue(due: readonly DueWork[]): Promise<void> {
    for (let from = 0; from < due.length; from += ENQUEUED_AT_ONCE) {
      const added = await Promise.all(due.slice(from, from + ENQUEUED_AT_ONCE).map((one) => this.#add(one)))
      if (!added.every((isAdded) => isAdded)) return
    }
  }

  async #add({ row, stage, attempt, nextAttemptMs }: DueWork): Promise<boolean> {
    const { queue, clock } = this.#options
    const delayMs = Math.max(0, nextAttemptMs - clock.now())
    const added = await queue.add({ row, stage, attempt, delayMs })
    if (added.kind === 'unavailable') this.#queueIsAway({ row, reason: added.reason })
    return added.kind === 'added'
  }

  /** Frees rows of ours that nothing runs (their last write failed), then adds the jobs that rows ask for and the queue does not have. */
  async reconcile(): Promise<void> {
    const { queue, store, incarnation } = this.#options
    for (const row of leasedRows(store.read, incarnation)) {
      if (!this.#running.has(row)) await store.write('releaseLease', { row, incarnation })
    }
    const pending = await queue.pendingIds()
    if (pending.kind === 'unavailable') {
      this.#queueIsAway({ reason: pending.reason })
      return
    }
    const missing = waitingWork(store.read, RECONCILE_ROWS).filter((due) => !pending.ids.has(jobId(due)))
    await this.enqueue(missing)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#cancelReconcile?.()
    await this.#reconciling
    await this.#options.queue.close(DRAIN_MS)
  }

  /** The queue itself says in the log when it goes away and when it is back; here it is only looked at sooner. */
  #queueIsAway(fields: Readonly<Record<string, unknown>>): void {
    this.#options.log.debug(fields, 'the job queue is away; its jobs are added again when it is back')
    if (this.#isLookingSoon || this.#closing.signal.aborted) return
    this.#isLookingSoon = true
    this.#scheduleReconcile(RECONCILE_SOON_MS)
  }

  #scheduleReconcile(delayMs: number = RECONCILE_EVERY_MS): void {
    this.#cancelReconcile?.()
    this.#cancelReconcile = this.#options.clock.after(delayMs, () => {
      this.#isLookingSoon = false
      this.#reconciling = this.reconcile()
        .catch((cause: unknown) => this.#options.log.error({ cause }, 'the reconciler failed'))
        .then(() => {
          if (!this.#closing.signal.aborted && !this.#isLookingSoon) this.#scheduleReconcile()
        })
    })
  }

  /** A row that moved on to a stage that is due goes on at once: the queue has nothing to add to that. */
  async #run(job: Job): Promise<void> {
    let next: Job | undefined = job
    while (next !== undefined && !this.#closing.signal.aborted) next = await this.#step(next)
  }

  /** One attempt of a row; returns what of the same row is due now. */
  async #step({ row, stage, attempt }: Job): Promise<Job | undefined> {
    const { store, incarnation } = this.#options
    const lease: Lease = { row, attempt, incarnation }
    // Before the claim: the reconciler may see the committed lease before its answer is here.
    this.#count(lease.row, 1)
    try {
      const claimed = await store.write('claimWork', { lease, stage })
      return claimed === undefined ? undefined : await this.#runClaimed(lease, claimed)
    } finally {
      this.#count(lease.row, -1)
    }
  }

  #count(row: string, change: 1 | -1): void {
    const jobs = (this.#running.get(row) ?? 0) + change
    if (jobs === 0) this.#running.delete(row)
    else this.#running.set(row, jobs)
  }

  async #runClaimed(lease: Lease, claimed: ClaimedWork): Promise<Job | undefined> {
    const outcome = await this.#attempt(lease, claimed)
    if (outcome.kind === 'retry')
      this.#options.log.info(
        { row: lease.row, stage: claimed.stage, failures: claimed.failures },
        'tried again later',
      )
    const due = await this.#settle(lease, claimed, outcome)
    const nowMs = this.#options.clock.now()
    const next =
      outcome.kind === 'moved'
        ? due.find(({ row, nextAttemptMs }) => row === lease.row && nextAttemptMs <= nowMs)
        : undefined
    await this.enqueue(due.filter((one) => one !== next))
    return next
  }

  async #attempt(lease: Lease, claimed: ClaimedWork): Promise<StageOutcome> {
    const stage = this.#options.stages[claimed.stage]
    if (stage === undefined) return { kind: 'retry', reason: `this release has no stage ${claimed.stage}` }
    try {
      return await stage({
        lease,
        accountId: claimed.accountId,
        failures: claimed.failures,
        signal: this.#closing.signal,
      })
    } catch (cause) {
      // Cut off by our own closing: the row keeps its dead lease and is taken up at the next start.
      if (this.#closing.signal.aborted) return { kind: 'lease-lost' }
      // Our own fault or the disk's: logged once, here; the row stays and is tried again (style 2.4).
      this.#options.log.error({ row: lease.row, stage: claimed.stage, cause }, 'a stage failed')
      return { kind: 'retry', reason: 'internal error, see the log' }
    }
  }

  async #settle(lease: Lease, claimed: ClaimedWork, outcome: StageOutcome): Promise<readonly DueWork[]> {
    const { store, random } = this.#options
    switch (outcome.kind) {
      case 'moved':
        return outcome.due
      case 'lease-lost':
        return []
      case 'repeat': {
        const due = await store.write('repeatWork', { lease, delayMs: outcome.delayMs })
        return [...(outcome.due ?? []), ...(due === undefined ? [] : [due])]
      }
      case 'retry': {
        const delayMs = outcome.delayMs ?? retryDelayMs(claimed.failures, random())
        const due = await store.write('retryWork', { lease, error: outcome.reason, delayMs })
        return [...(outcome.due ?? []), ...(due === undefined ? [] : [due])]
      }
    }
  }
}

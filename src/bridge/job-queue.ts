/**
 * When a stage of a row runs: the queue only schedules (design 3). A job names a row and carries nothing else, every
 * job can be rebuilt from its row, and one that comes too late or twice is a no-op, because the stage claims its row
 * by attempt first.
 */
export interface Job {
  /** Lower-case letters, e.g. `encode`. */
  readonly stage: string
  /** Row id as text with a leading letter, e.g. `om12`. */
  readonly row: string
  /** The row's attempt number when the job was added; a job whose attempt is not its row's does nothing. */
  readonly attempt: number
}

export interface JobRequest extends Job {
  /** Milliseconds before the job may run; 0 for at once. */
  readonly delayMs: number
}

export type AddOutcome =
  /** Queued, or already waiting, active or delayed under the same id. */
  | { readonly kind: 'added' }
  /** The queue cannot be reached now; the reconciler adds the job again. */
  | { readonly kind: 'unavailable'; readonly reason: string }

export type PendingOutcome =
  | { readonly kind: 'ok'; readonly ids: ReadonlySet<string> }
  | { readonly kind: 'unavailable'; readonly reason: string }

export interface JobQueue {
  /**
   * Answers within `QUEUE_ANSWER_MS` whatever Redis does. Throws only for a job that could never be queued
   * (our own fault: a malformed row id).
   */
  add(request: JobRequest): Promise<AddOutcome>
  /** Starts the worker; call it once. A handler that throws is logged with its job; the job is not run again. */
  process(handler: (job: Job) => Promise<void>, options: { readonly concurrency: number }): void
  /** Ids (see `jobId`) of the jobs that are waiting, active or delayed: what the reconciler compares rows with. */
  pendingIds(): Promise<PendingOutcome>
  /** Forgets every job, also active ones: for the private Redis at start, before any worker (design 3). */
  obliterate(): Promise<void>
  /** Takes no more jobs, waits for the running ones `drainMs` milliseconds at most, then lets go of Redis. */
  close(drainMs: number): Promise<void>
}

/** Milliseconds: the longest a caller waits for Redis; somebody may be waiting for the SMTP reply behind it. */
export const QUEUE_ANSWER_MS = 2000

const ROW = /^[a-z]+[0-9a-z]{1,64}$/
const STAGE = /^[a-z]{1,32}$/
const JOB_ID = /^([a-z]+[0-9a-z]{1,64})-([a-z]{1,32})-(\d{1,9})$/
const MAX_ATTEMPT = 999_999_999

/**
 * `<row>-<stage>-<attempt>`: no colon and never only digits, which BullMQ refuses (design 3, case O03).
 * Throws for parts that would not survive.
 */
export function jobId(job: Job): string {
  const attemptFits = Number.isInteger(job.attempt) && job.attempt >= 0 && job.attempt <= MAX_ATTEMPT
  if (!ROW.test(job.row) || !STAGE.test(job.stage) || !attemptFits) {
    throw new Error(`not a job: row ${job.row}, stage ${job.stage}, attempt ${job.attempt}`)
  }
  return `${job.row}-${job.stage}-${job.attempt}`
}

/** The job behind an id, or undefined when the id is not one of ours. */
export function parseJobId(id: string): Job | undefined {
  const match = JOB_ID.exec(id)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { row: match[1], stage: match[2], attempt: Number(match[3]) }
}

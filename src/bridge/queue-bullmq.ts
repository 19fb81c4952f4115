import { Queue, UnrecoverableError, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import type { JobRequest, PendingOutcome } from './job-queue.ts'
import { type AddOutcome, type Job, type JobQueue, jobId, parseJobId, QUEUE_ANSWER_MS } from './job-queue.ts'
import type { Log } from './log.ts'

/** Where Redis is: the private one's socket, or a shared one's URL. */
export type RedisAddress = { readonly socketPath: string } | { readonly url: string }

export interface BullmqQueueOptions {
  readonly redis: RedisAddress
  /** Keeps data directories apart that share one Redis; letters, digits and dashes. */
  readonly namespace: string
  readonly log: Log
}

/** A Redis we must not use, or cannot reach at start; the message is for the owner. */
export class RedisUnusableError extends Error {
  override readonly name = 'RedisUnusableError'
}

const QUEUE_NAME = 'stages'
/** The lock never decides, the row's lease does: long enough for a sleeping laptop (case O04, design 3). */
const LOCK_MS = 10 * 60_000
/** Milliseconds between looks for jobs whose worker is gone; only a shared Redis has any. */
const STALLED_LOOK_MS = 5 * 60_000
/** So high that a stall never fails a job (design 3). */
const MAX_STALLS = 1_000_000
/** Milliseconds between tries to reach Redis again: short, because a restarted private Redis is back within a second. */
const RECONNECT_MS = { first: 100, longest: 2000 } as const
/** Milliseconds to wait for the first answer of a shared Redis at start. */
const FIRST_CONTACT_MS = 5000

/** `maxRetriesPerRequest: null` is what BullMQ asks for: its own commands wait for the reconnection. */
function connect(
  address: RedisAddress,
  { enableOfflineQueue }: { readonly enableOfflineQueue: boolean },
): Redis {
  const all = {
    enableOfflineQueue,
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => Math.min(times * RECONNECT_MS.first, RECONNECT_MS.longest),
  }
  return 'url' in address ? new Redis(address.url, all) : new Redis(address.socketPath, all)
}

/** Resolves with the value, or with `late` after that time; the promise goes on alone and its failure is not an event. */
async function within<T, Late>(promise: Promise<T>, ms: number, late: Late): Promise<T | Late> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<Late>((resolve) => {
    timer = setTimeout(() => resolve(late), ms)
  })
  promise.catch(() => undefined)
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}

const LATE = Symbol('late')

/**
 * Opens the queue. Throws `RedisUnusableError` when Redis does not answer at start, or would throw jobs away when its
 * memory is full (`maxmemory-policy` other than `noeviction`).
 */
export async function openBullmqQueue(options: BullmqQueueOptions): Promise<JobQueue> {
  const queue = new BullmqQueue(options)
  try {
    await queue.checkRedis()
  } catch (error) {
    await queue.close(0)
    throw error
  }
  return queue
}

class BullmqQueue implements JobQueue {
  readonly #options: BullmqQueueOptions
  readonly #log: Log
  /** Commands fail at once while Redis is away: nothing piles up in memory, nothing is waited for. */
  readonly #producer: Redis
  readonly #queue: Queue
  #consumer: Redis | undefined
  #worker: Worker | undefined
  #reachable: boolean = true
  #closed: boolean = false

  constructor(options: BullmqQueueOptions) {
    this.#options = options
    this.#log = options.log.child({ part: 'queue' })
    this.#producer = connect(options.redis, { enableOfflineQueue: false })
    this.#watch(this.#producer)
    this.#queue = new Queue(QUEUE_NAME, {
      connection: this.#producer,
      prefix: this.#prefix(),
      skipVersionCheck: true,
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    })
    this.#queue.on('error', (error) => this.#reportUnreachable(error))
  }

  async checkRedis(): Promise<void> {
    const memory = await within(this.#memorySection(), FIRST_CONTACT_MS, LATE)
    if (memory === LATE) {
      throw new RedisUnusableError(`Redis does not answer at ${this.#place()}`)
    }
    const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]
    if (policy !== undefined && policy !== 'noeviction') {
      throw new RedisUnusableError(
        `Redis at ${this.#place()} throws data away when its memory is full (maxmemory-policy ${policy}); ` +
          'set "maxmemory-policy noeviction" there, or leave redis.url empty to use a private Redis',
      )
    }
  }

  async add(request: JobRequest): Promise<AddOutcome> {
    const id = jobId(request)
    const { stage, row, attempt, delayMs } = request
    const added = this.#queue.add(stage, { stage, row, attempt }, { jobId: id, delay: delayMs })
    const outcome = await this.#answer(added)
    return outcome.kind === 'ok' ? { kind: 'added' } : outcome
  }

  process(handler: (job: Job) => Promise<void>, { concurrency }: { readonly concurrency: number }): void {
    if (this.#worker !== undefined) throw new Error('the queue has its worker already')
    this.#consumer = connect(this.#options.redis, { enableOfflineQueue: true })
    this.#watch(this.#consumer)
    this.#worker = new Worker(
      QUEUE_NAME,
      async ({ id }) => {
        const job = id === undefined ? undefined : parseJobId(id)
        if (job === undefined) throw new UnrecoverableError(`not a job of ours: ${id}`)
        await handler(job)
      },
      {
        connection: this.#consumer,
        prefix: this.#prefix(),
        skipVersionCheck: true,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_LOOK_MS,
        maxStalledCount: MAX_STALLS,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    )
    this.#worker.on('error', (error) => this.#reportUnreachable(error))
    this.#worker.on('failed', (job, cause) => this.#log.error({ job: job?.id, cause }, 'a job failed'))
  }

  async pendingIds(): Promise<PendingOutcome> {
    const outcome = await this.#answer(this.#queue.getRanges(['waiting', 'active', 'delayed']))
    return outcome.kind === 'ok' ? { kind: 'ok', ids: new Set(outcome.value) } : outcome
  }

  async obliterate(): Promise<void> {
    await this.#queue.obliterate({ force: true })
  }

  async close(drainMs: number): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // Past the time the running jobs are left to themselves; their rows are taken up again at the next start.
    if (this.#worker !== undefined) await within(this.#worker.close(), drainMs, LATE)
    await within(this.#queue.close(), QUEUE_ANSWER_MS, LATE)
    this.#consumer?.disconnect()
    this.#producer.disconnect()
  }

  async #answer<T>(
    asked: Promise<T>,
  ): Promise<{ kind: 'ok'; value: T } | { kind: 'unavailable'; reason: string }> {
    try {
      const value = await within(asked, QUEUE_ANSWER_MS, LATE)
      if (value !== LATE) return { kind: 'ok', value }
      return { kind: 'unavailable', reason: `Redis did not answer within ${QUEUE_ANSWER_MS} ms` }
    } catch (cause) {
      if (this.#producer.status === 'ready') throw cause
      return { kind: 'unavailable', reason: `Redis is not reachable at ${this.#place()}` }
    }
  }

  async #memorySection(): Promise<string> {
    if (this.#producer.status !== 'ready') {
      await new Promise<void>((resolve) => this.#producer.once('ready', resolve))
    }
    return await this.#producer.info('memory')
  }

  /** 'error' without a listener would end the process. One line when Redis goes away, one when it is back. */
  #watch(client: Redis): void {
    client.on('error', (error: Error) => this.#reportUnreachable(error))
    client.on('ready', () => {
      if (this.#reachable) return
      this.#reachable = true
      this.#log.info({}, 'Redis is back')
    })
  }

  #reportUnreachable(cause: Error): void {
    if (this.#closed || !this.#reachable) return
    this.#reachable = false
    this.#log.warn({ cause: cause.message }, 'Redis is away; jobs wait in the database')
  }

  #prefix(): string {
    return `cmbridge-${this.#options.namespace}`
  }

  /** The address without a password. */
  #place(): string {
    const { redis } = this.#options
    if ('socketPath' in redis) return redis.socketPath
    const url = URL.parse(redis.url)
    return url === null ? 'redis.url' : `${url.protocol}//${url.host}`
  }
}

import { Worker } from 'node:worker_threads'
import type { Clock } from '../../base/clock.ts'
import type { TaskMessage, TaskReply } from './task-thread.ts'
import type { TaskArgument, TaskName, TaskResult } from './tasks.ts'

/** Runs tasks on worker threads, so that no hostile key or huge message stops the event loop (design 3, 9). */

/** The task did not end by itself: it ran out of time or memory, or the pool was closed. Its thread is gone. */
export class WorkerTaskError extends Error {
  override readonly name = 'WorkerTaskError'
  readonly reason: 'time-limit' | 'crashed' | 'closed'

  constructor(reason: WorkerTaskError['reason'], task: TaskName, options?: ErrorOptions) {
    super(`the task ${task} did not end: ${reason}`, options)
    this.reason = reason
  }
}

export interface RunOptions {
  /** Counted from the moment the task has a thread. */
  readonly timeLimitMs?: number | undefined
  /** Ends the task and its thread; `run` rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface WorkerPool {
  /** Resolves with the task's result, rejects with what it threw or with WorkerTaskError. Argument and result are copied. */
  run<Name extends TaskName>(
    name: Name,
    argument: TaskArgument<Name>,
    options?: RunOptions,
  ): Promise<TaskResult<Name>>
  close(): Promise<void>
}

/** JavaScript heap of one thread: far more than a task needs, far less than a machine has. */
const MAX_HEAP_MB = 512
/** A hostile key must be judged long before a peer's connection times out. */
export const DEFAULT_TIME_LIMIT_MS = 30_000

const THREAD = new URL('./task-thread.ts', import.meta.url)

/** Threads start when they are needed and never keep the process alive while idle. */
export function createWorkerPool(options: { readonly threads: number; readonly clock: Clock }): WorkerPool {
  return new ThreadPool(Math.max(1, Math.floor(options.threads)), options.clock)
}

interface Waiter {
  readonly name: TaskName
  readonly resolve: (worker: Worker) => void
  readonly reject: (error: WorkerTaskError) => void
}

function withCode(error: unknown, code: string | undefined): unknown {
  return error instanceof Error && code !== undefined ? Object.assign(error, { code }) : error
}

class ThreadPool implements WorkerPool {
  readonly #threads: number
  readonly #clock: Clock
  readonly #idle: Worker[] = []
  readonly #busy = new Set<Worker>()
  readonly #waiting: Waiter[] = []
  readonly #closing = new AbortController()

  constructor(threads: number, clock: Clock) {
    this.#threads = threads
    this.#clock = clock
  }

  async run<Name extends TaskName>(
    name: Name,
    argument: TaskArgument<Name>,
    options: RunOptions = {},
  ): Promise<TaskResult<Name>> {
    options.signal?.throwIfAborted()
    if (this.#closing.signal.aborted) throw new WorkerTaskError('closed', name)
    const worker = await this.#takeWorker(name)
    let reply: TaskReply
    try {
      options.signal?.throwIfAborted()
      reply = await this.#ask(worker, { name, argument }, options)
    } catch (error) {
      // It did not answer, so it may be in any state.
      this.#discard(worker)
      throw error
    }
    this.#release(worker)
    if (reply.kind === 'threw') throw withCode(reply.error, reply.code)
    return reply.result as TaskResult<Name>
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const { reject, name } of this.#waiting.splice(0)) reject(new WorkerTaskError('closed', name))
    await Promise.all([...this.#idle.splice(0), ...this.#busy].map((worker) => worker.terminate()))
  }

  #start(): Worker {
    const worker = new Worker(THREAD, { resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB } })
    // A thread that dies while nobody waits for it is simply not used again.
    worker.on('error', () => this.#forget(worker)).on('exit', () => this.#forget(worker))
    this.#busy.add(worker)
    return worker
  }

  #forget(worker: Worker): void {
    const at = this.#idle.indexOf(worker)
    if (at >= 0) this.#idle.splice(at, 1)
  }

  #takeWorker(name: TaskName): Promise<Worker> {
    const idle = this.#idle.pop()
    if (idle !== undefined) {
      this.#busy.add(idle)
      return Promise.resolve(idle)
    }
    if (this.#busy.size < this.#threads) return Promise.resolve(this.#start())
    return new Promise((resolve, reject) => this.#waiting.push({ name, resolve, reject }))
  }

  #release(worker: Worker): void {
    const next = this.#waiting.shift()
    if (next !== undefined) next.resolve(worker)
    else if (this.#busy.delete(worker)) this.#idle.push(worker)
  }

  #discard(worker: Worker): void {
    this.#busy.delete(worker)
    void worker.terminate()
    const next = this.#waiting.shift()
    if (next !== undefined) next.resolve(this.#start())
  }

  /** One question to one thread; rejects when it dies, the time is up, or somebody asks it to end. */
  async #ask(worker: Worker, message: TaskMessage, options: RunOptions): Promise<TaskReply> {
    const { promise, resolve, reject } = Promise.withResolvers<TaskReply>()
    const crashed = (cause: unknown): void => reject(new WorkerTaskError('crashed', message.name, { cause }))
    const closed = (): void => reject(new WorkerTaskError('closed', message.name))
    const aborted = (): void => reject(options.signal?.reason)
    const timeLimitMs = options.timeLimitMs ?? DEFAULT_TIME_LIMIT_MS
    const cancelTimer = this.#clock.after(timeLimitMs, () => {
      reject(new WorkerTaskError('time-limit', message.name))
    })
    worker.on('message', resolve).on('error', crashed).on('messageerror', crashed).on('exit', crashed)
    options.signal?.addEventListener('abort', aborted, { once: true })
    this.#closing.signal.addEventListener('abort', closed, { once: true })
    worker.ref()
    try {
      worker.postMessage(message)
      return await promise
    } finally {
      cancelTimer()
      worker.off('message', resolve).off('error', crashed).off('messageerror', crashed).off('exit', crashed)
      options.signal?.removeEventListener('abort', aborted)
      this.#closing.signal.removeEventListener('abort', closed)
      worker.unref()
    }
  }
}

import { Worker } from 'node:worker_threads'
import type { Clock } from '../base/clock.ts'
import { unreachable } from '../base/unreachable.ts'
import { DamagedDatabaseError, DiskFullError, StoreClosedError, WriteFailedError } from './errors.ts'
import type { OperationArgs, OperationResult, OperationTable, PublishedChange } from './operation.ts'
import type { CommittedGroup, QueuedWrite, WriteFailure } from './write-group.ts'
import type { WriterThreadData, WriterThreadMessage, WriterThreadRequest } from './writer-thread.ts'

/** Octets of randomness sent with each write; its ids are drawn from it. */
const SEED_BYTES = 32

export interface WriterOptions {
  readonly databasePath: string
  /** Module that exports the `operations` table; the thread imports it by itself. */
  readonly operationsUrl: URL
  readonly clock: Clock
  readonly randomBytes: (size: number) => Uint8Array
  /** Called with the changes of each commit, in commit order, before the writes of that commit are answered. */
  readonly publish: (changes: readonly PublishedChange[]) => void
  /** The thread died; everything waiting has been rejected. */
  readonly onFailure: (error: Error) => void
}

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** The main thread's side of the writer thread. */
export class Writer<Table extends OperationTable> {
  readonly #options: WriterOptions
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  readonly #ready = Promise.withResolvers<void>()
  #nextId = 1
  #closedBy: Error | undefined

  private constructor(options: WriterOptions) {
    this.#options = options
    const data: WriterThreadData = {
      databasePath: options.databasePath,
      operationsUrl: options.operationsUrl.href,
    }
    this.#worker = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData: data })
    this.#worker.on('message', (message: WriterThreadMessage) => this.#receive(message))
    this.#worker.on('error', (error) => this.#fail(error))
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (exitCode) => {
        if (this.#closedBy === undefined)
          this.#fail(new Error(`the writer thread ended with code ${exitCode}`))
        else this.#rejectAll(new StoreClosedError('the store is closed', { cause: this.#closedBy }))
        resolve()
      })
    })
  }

  /** Starts the thread; resolves when it takes writes. */
  static async start<Table extends OperationTable>(options: WriterOptions): Promise<Writer<Table>> {
    const writer = new Writer<Table>(options)
    await writer.#ready.promise
    return writer
  }

  /**
   * Runs the named operation; resolves with its result after COMMIT, when it is durable and its changes are published.
   * Rejects with DiskFullError, DamagedDatabaseError, StoreClosedError or WriteFailedError; then nothing of it remains
   * (after StoreClosedError it is not known).
   */
  write<Name extends keyof Table & string>(
    name: Name,
    args: OperationArgs<Table, Name>,
  ): Promise<OperationResult<Table, Name>> {
    if (this.#closedBy !== undefined) {
      return Promise.reject(new StoreClosedError('the store is closed', { cause: this.#closedBy }))
    }
    const id = this.#nextId++
    const { clock, randomBytes } = this.#options
    const write: QueuedWrite = { id, name, args, nowMs: clock.now(), seed: randomBytes(SEED_BYTES) }
    return new Promise((resolve, reject) => {
      this.#post({ kind: 'write', write })
      this.#waiting.set(id, {
        resolve: (result) => resolve(result as OperationResult<Table, Name>),
        reject,
      })
    })
  }

  /** Commits what was asked for so far and ends the thread. */
  async close(): Promise<void> {
    if (this.#closedBy === undefined) {
      this.#closedBy = new StoreClosedError('closed by its owner')
      this.#post({ kind: 'close' })
    }
    await this.#exited
  }

  #post(request: WriterThreadRequest): void {
    this.#worker.postMessage(request)
  }

  #receive(message: WriterThreadMessage): void {
    switch (message.kind) {
      case 'ready':
        this.#ready.resolve()
        return
      case 'committed':
        this.#settle(message.group)
        return
      default:
        unreachable(message)
    }
  }

  #settle(group: CommittedGroup): void {
    try {
      if (group.changes.length > 0) this.#options.publish(group.changes)
    } finally {
      for (const reply of group.replies) {
        const waiting = this.#waiting.get(reply.id)
        this.#waiting.delete(reply.id)
        if (reply.kind === 'done') waiting?.resolve(reply.result)
        else waiting?.reject(this.#toError(reply.failure))
      }
    }
  }

  #toError(failure: WriteFailure): Error {
    const cause = Object.assign(new Error(failure.message), { stack: failure.stack })
    switch (failure.kind) {
      case 'disk-full':
        return new DiskFullError('no space left on the disk', { cause })
      case 'damaged':
        return new DamagedDatabaseError(this.#options.databasePath, failure.message, { cause })
      case 'failed':
        return new WriteFailedError(failure.message, { cause })
      default:
        return unreachable(failure.kind)
    }
  }

  #fail(error: unknown): void {
    const failure = error instanceof Error ? error : new Error(String(error))
    this.#closedBy = failure
    this.#ready.reject(failure)
    this.#rejectAll(new StoreClosedError('the writer thread failed', { cause: failure }))
    this.#options.onFailure(failure)
  }

  #rejectAll(error: Error): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }
}

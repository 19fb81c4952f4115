import { Worker } from 'node:worker_threads'
import type { ProofOfWorkData } from './proof-of-work.ts'
import {
  checkedDemand,
  estimateHashes,
  measureProofOfWork,
  meetsDemand,
  solveProofOfWork,
} from './proof-of-work.ts'
import { nonceTableBytes } from './workers/nonce-table.ts'
import { CONTROL, CONTROL_WORDS, type SearchTask } from './workers/proof-of-work-search.ts'
import type { ThreadReply } from './workers/proof-of-work-thread.ts'

/** Makes proofs of work on worker threads, one after the other, each on all of them (CM wire 5.2, measurements 2). */

export interface ProofOfWorkTask {
  readonly bits: number
  /** Below 2 counts as 2; above 9 is a RangeError, as no verifier would take it. */
  readonly matches: number
  readonly data: ProofOfWorkData
  /** Ends the search: `solve` rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Hashes made so far, now and then; `estimateHashes` says how many are likely. */
  readonly onProgress?: ((hashes: number) => void) | undefined
}

export interface ProofOfWorkSolver {
  /** The header's value, `bd,…`. With one thread the nonces are those the reference would find. */
  solve(task: ProofOfWorkTask): Promise<string>
  /** Ends the threads; a search that runs is rejected. */
  close(): Promise<void>
}

export interface ProofOfWorkSolverOptions {
  readonly threads: number
  /** Cap on the table: 8 octets a slot, rounded down to a power of two. Smaller tables only make long searches longer. */
  readonly maxTableSlots?: number
}

/** 256 MiB: enough that three of four 48-bit searches end before the table is full (measurements 2). */
const DEFAULT_MAX_TABLE_SLOTS = 2 ** 25
const MIN_TABLE_SLOTS = 2 ** 12
/** Slots per hash that is expected: room for an unlucky search. */
const SLOTS_PER_EXPECTED_HASH = 4

/** Hashes that are likely, and octets they go over, of a proof made where it is asked for: half a millisecond. */
const MAX_AT_ONCE = { hashes: 400, octets: 512 * 1024 } as const

const CLOSED = 'the proof-of-work solver is closed'
const THREAD = new URL('./workers/proof-of-work-thread.ts', import.meta.url)

/** Threads start at the first `solve` and never keep the process alive while idle. */
export function createProofOfWorkSolver(options: ProofOfWorkSolverOptions): ProofOfWorkSolver {
  return new ThreadedSolver(options.threads, options.maxTableSlots ?? DEFAULT_MAX_TABLE_SLOTS)
}

/** The table's size: what the search will likely need, within the cap; a power of two. */
function tableSlots(bits: number, matches: number, maxSlots: number): number {
  const exponent = Math.min(32, (bits * (matches - 1)) / matches)
  const wanted = Math.min(SLOTS_PER_EXPECTED_HASH * matches * 2 ** exponent, maxSlots)
  return 2 ** Math.max(Math.log2(MIN_TABLE_SLOTS), Math.floor(Math.log2(wanted)))
}

/** A server's floor for a small block: another thread would take longer to hear of it. */
function isAtOnce({ bits, matches, data }: ProofOfWorkTask): boolean {
  const hashes = estimateHashes(bits, Math.max(2, matches))
  return hashes <= MAX_AT_ONCE.hashes && hashes * joined(data).length <= MAX_AT_ONCE.octets
}

function joined(data: ProofOfWorkData): Uint8Array {
  return data instanceof Uint8Array ? data : Buffer.concat(data)
}

class ThreadedSolver implements ProofOfWorkSolver {
  readonly #threads: number
  readonly #maxTableSlots: number
  #workers: Worker[] = []
  readonly #closing = new AbortController()
  #queue: Promise<unknown> = Promise.resolve()
  #stop: (() => void) | undefined

  constructor(threads: number, maxTableSlots: number) {
    this.#threads = Math.max(1, Math.floor(threads))
    this.#maxTableSlots = maxTableSlots
  }

  async solve(task: ProofOfWorkTask): Promise<string> {
    const demand = checkedDemand(task)
    if (isAtOnce(task)) {
      this.#requireOpen(task.signal)
      return solveProofOfWork(demand, joined(task.data))
    }
    const turn = this.#queue.then(() => this.#search({ ...task, ...demand }))
    this.#queue = turn.catch(() => undefined)
    return turn
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#stop?.()
    const workers = this.#workers
    this.#workers = []
    await Promise.all(workers.map((worker) => worker.terminate()))
  }

  #requireOpen(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closing.signal.aborted) throw new Error(CLOSED)
  }

  async #search(task: ProofOfWorkTask): Promise<string> {
    this.#requireOpen(task.signal)
    while (this.#workers.length < this.#threads) this.#workers.push(new Worker(THREAD))
    const slots = tableSlots(task.bits, task.matches, this.#maxTableSlots)
    const search: SearchTask = {
      bits: task.bits,
      matches: task.matches,
      data: joined(task.data),
      table: new SharedArrayBuffer(nonceTableBytes(slots)),
      control: new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT),
    }
    const control = new Int32Array(search.control)
    const stop = (): void => {
      Atomics.store(control, CONTROL.stop, 1)
    }
    this.#stop = stop
    task.signal?.addEventListener('abort', stop, { once: true })
    try {
      const proof = await this.#runOnAll(search, task.onProgress)
      if (proof === undefined) throw stopReason(task.signal, this.#closing.signal.aborted)
      // A fault in shared-memory code must not become a message nobody takes.
      if (!meetsDemand(measureProofOfWork(proof, task.data), task))
        throw new Error(`bad proof of work ${proof}`)
      return proof
    } finally {
      task.signal?.removeEventListener('abort', stop)
      this.#stop = undefined
    }
  }

  async #runOnAll(search: SearchTask, onProgress?: (hashes: number) => void): Promise<string | undefined> {
    let total = 0
    const count = (hashes: number): void => {
      total += hashes
      onProgress?.(total)
    }
    const replies = await Promise.allSettled(this.#workers.map((worker) => runOn(worker, search, count)))
    for (const reply of replies) {
      if (reply.status === 'fulfilled' && reply.value.kind === 'found') return reply.value.proof
    }
    const failed = replies.find((reply) => reply.status === 'rejected')
    if (failed === undefined || this.#closing.signal.aborted) return undefined
    // A thread died: the others are stopped already; start afresh next time.
    await Promise.all(this.#workers.splice(0).map((worker) => worker.terminate()))
    throw failed.reason
  }
}

function stopReason(signal: AbortSignal | undefined, isClosed: boolean): Error {
  if (signal?.aborted === true) {
    return signal.reason instanceof Error ? signal.reason : new Error('the search was stopped')
  }
  return new Error(isClosed ? CLOSED : 'no proof of work was found')
}

/** One thread's answer to one search; rejects when the thread dies, and then stops the others. */
function runOn(
  worker: Worker,
  search: SearchTask,
  onHashes: (hashes: number) => void,
): Promise<Exclude<ThreadReply, { kind: 'progress' }>> {
  const { promise, resolve, reject } = Promise.withResolvers<Exclude<ThreadReply, { kind: 'progress' }>>()
  const onMessage = (reply: ThreadReply): void => {
    if (reply.kind === 'progress') onHashes(reply.hashes)
    else resolve(reply)
  }
  const onError = (error: unknown): void => {
    Atomics.store(new Int32Array(search.control), CONTROL.stop, 1)
    reject(error instanceof Error ? error : new Error('a proof-of-work thread failed', { cause: error }))
  }
  const onExit = (): void => onError(new Error('a proof-of-work thread ended'))
  worker.on('message', onMessage).on('error', onError).on('exit', onExit)
  worker.ref()
  worker.postMessage(search)
  return promise.finally(() => {
    worker.off('message', onMessage).off('error', onError).off('exit', onExit)
    worker.unref()
  })
}

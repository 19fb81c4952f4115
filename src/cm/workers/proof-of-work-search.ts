import { digestPrefix, encodeProof, nonceText, sha256Latin1 } from '../proof-of-work.ts'
import { digestMark, NonceTable } from './nonce-table.ts'

/** One thread's part of a proof-of-work search; everything shared is in shared memory (measurements 2). */

/** Words of `SearchTask.control`. */
export const CONTROL = { nextChunk: 0, stop: 1, entries: 2 } as const
/** Words of it in all, 32 bits each. */
export const CONTROL_WORDS = 3

/** What all threads of one search get; the buffers are shared. */
export interface SearchTask {
  readonly bits: number
  readonly matches: number
  readonly data: Uint8Array
  readonly table: SharedArrayBuffer
  readonly control: SharedArrayBuffer
}

export type SearchOutcome =
  | { readonly kind: 'found'; readonly proof: string }
  | { readonly kind: 'stopped' }
  /** Every nonce was tried (CM wire 5.2: the counter has 32 bits). */
  | { readonly kind: 'exhausted' }

/** Hashes of a chunk of short data: small enough that a stop is noticed at once, big enough to amortize the counter. */
const CHUNK_NONCES = 4096
/** Octets hashed per chunk of long data, for the same reason: a few milliseconds. */
const CHUNK_BYTES = 8 * 1024 * 1024
/** The last nonce must leave room for nonce + 1 in 32 bits. */
const LAST_NONCE = 0xffff_fffe

const NONCE_DIGITS = 9

/** Searches until it finds a proof, is stopped, or nothing is left; `onHashes` is told of each finished chunk. */
export function searchProofOfWork(task: SearchTask, onHashes: (hashes: number) => void): SearchOutcome {
  const control = new Int32Array(task.control)
  const table = new NonceTable(task.table, control.subarray(CONTROL.entries, CONTROL.entries + 1))
  const input = Buffer.concat([Buffer.alloc(NONCE_DIGITS), task.data])
  const chunk = Math.max(1, Math.min(CHUNK_NONCES, Math.floor(CHUNK_BYTES / input.length)))
  const hashOf = (nonce: number): string => {
    input.write(nonceText(nonce), 0, 'latin1')
    return sha256Latin1(input)
  }
  for (;;) {
    const start = (Atomics.add(control, CONTROL.nextChunk, 1) >>> 0) * chunk
    if (start > LAST_NONCE) return { kind: 'exhausted' }
    const end = Math.min(start + chunk, LAST_NONCE + 1)
    for (let nonce = start; nonce < end; nonce++) {
      const digest = hashOf(nonce)
      const candidates = table.insert(digestMark(digest, task.bits), nonce)
      if (candidates.length < task.matches - 1) continue
      const proof = confirm({ task, hashOf, candidates }, nonce, digest)
      if (proof === undefined) continue
      Atomics.store(control, CONTROL.stop, 1)
      return { kind: 'found', proof }
    }
    if (Atomics.load(control, CONTROL.stop) !== 0) return { kind: 'stopped' }
    onHashes(end - start)
  }
}

interface Candidates {
  readonly task: SearchTask
  readonly hashOf: (nonce: number) => string
  readonly candidates: readonly number[]
}

/** Hashes the candidates again: their tags are alike, which does not prove it. */
function confirm(given: Candidates, nonce: number, digest: string): string | undefined {
  const { bits, matches } = given.task
  const prefix = digestPrefix(digest, bits)
  const alike = given.candidates.filter(
    (other) => other !== nonce && digestPrefix(given.hashOf(other), bits) === prefix,
  )
  if (alike.length < matches - 1) return undefined
  return encodeProof([...alike.slice(0, matches - 1), nonce].sort((a, b) => a - b))
}

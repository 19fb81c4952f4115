/**
 * The shared table behind the proof-of-work search: open addressing over (tag, nonce + 1) pairs in shared memory,
 * filled by several threads with compare-and-swap (measurements 2). Nonces whose digests begin alike meet in it.
 */

const WORDS_PER_SLOT = 2
/** Beyond this load probing gets slow; then nothing is inserted any more and the search goes on against what is there. */
const MAX_LOAD = 0.8

/** Octets of a table of that many slots (a power of two). */
export function nonceTableBytes(slots: number): number {
  return slots * WORDS_PER_SLOT * Int32Array.BYTES_PER_ELEMENT
}

/** The first 64 bits of a digest, cut to `bits`, as a place in the table and a tag. */
export interface DigestMark {
  readonly place: number
  readonly tag: number
}

const MIX_A = 0x85ebca6b
const MIX_B = 0xc2b2ae35
const MIX_C = 0x9e3779b1

function word(latin1Digest: string, at: number): number {
  return (
    (latin1Digest.charCodeAt(at) << 24) |
    (latin1Digest.charCodeAt(at + 1) << 16) |
    (latin1Digest.charCodeAt(at + 2) << 8) |
    latin1Digest.charCodeAt(at + 3)
  )
}

/** Keeps the first `bits` of 32. */
function cut(value: number, bits: number): number {
  if (bits >= 32) return value
  return bits <= 0 ? 0 : value & (-1 << (32 - bits))
}

/** Equal prefixes have equal marks; equal marks are only likely to have equal prefixes, so candidates are hashed again. */
export function digestMark(latin1Digest: string, bits: number): DigestMark {
  const high = cut(word(latin1Digest, 0), bits)
  const low = cut(word(latin1Digest, 4), bits - 32)
  const mixed = Math.imul(high, MIX_A) ^ Math.imul(low, MIX_B)
  return { place: (mixed ^ (mixed >>> 15)) >>> 0, tag: high ^ Math.imul(low, MIX_C) }
}

/** One thread's view of the shared table; every thread makes its own over the same memory. */
export class NonceTable {
  readonly #words: Int32Array
  readonly #mask: number
  readonly #maxEntries: number
  /** One word shared by all threads: the number of entries. */
  readonly #count: Int32Array

  /** `slots` is a power of two; `count` one shared word. */
  constructor(memory: SharedArrayBuffer, count: Int32Array) {
    this.#words = new Int32Array(memory)
    const slots = this.#words.length / WORDS_PER_SLOT
    this.#mask = slots - 1
    this.#maxEntries = Math.floor(slots * MAX_LOAD)
    this.#count = count
  }

  /** Inserts the nonce unless the table is full; returns earlier nonces with the same tag, in no promised order. */
  insert(mark: DigestMark, nonce: number): readonly number[] {
    let same: number[] | undefined
    const words = this.#words
    const isFull = Atomics.load(this.#count, 0) >= this.#maxEntries
    for (let slot = mark.place & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * WORDS_PER_SLOT
      let held = Atomics.load(words, at + 1)
      if (held === 0) {
        if (isFull) break
        held = Atomics.compareExchange(words, at + 1, 0, (nonce + 1) | 0)
        if (held === 0) {
          Atomics.store(words, at, mark.tag)
          Atomics.add(this.#count, 0, 1)
          break
        }
      }
      if (Atomics.load(words, at) === mark.tag) {
        same ??= []
        same.push((held - 1) >>> 0)
      }
    }
    return same ?? NONE
  }
}

const NONE: readonly number[] = []

import { createHash, hash } from 'node:crypto'

/** Proof of work: several nonces whose SHA256(nonce text || data) agree in their first bits (CM wire 5). */

/** Equal leading bits and number of nonces: what a proof shows, or what a receiver asks for. */
export interface ProofOfWorkStrength {
  readonly bits: number
  /** -1 when the text has no `bd` at all: less than any demand (CM wire 5.3). */
  readonly matches: number
}

/** Nonces we hash for one proof: an honest one has at most 9, each may cost a pass over 8 MiB (CM wire 5.3, S9). */
export const MAX_VERIFIED_NONCES = 16
/** The reference's generator delivers too few nonces from 10 on, and its verifier then refuses them (CM wire 5.2). */
export const MAX_MATCHES = 9
/** Digest bits; more can never agree. */
export const MAX_BITS = 256

const HEADER_VALUE = /^bd,[0-9a-f]+(?:,[0-9a-f]+)+$/i
const DEMAND_VALUE = /^bd,(\d{1,4}),(\d{1,4})$/

/** Demands of CM wire 2.2; an Entangled validator asks 8 bits of announcements, while their producers make 20. */
export const PROOF_OF_WORK_FLOORS = {
  server: {
    data: { bits: 8, matches: 2 },
    'message-announcement': { bits: 8, matches: 2 },
    acknowledgment: { bits: 16, matches: 2 },
    'key-announcement': { bits: 24, matches: 2 },
    'address-claim': { bits: 24, matches: 2 },
  },
  entangled: {
    data: { bits: 20, matches: 2 },
    'message-announcement': { bits: 8, matches: 2 },
    acknowledgment: { bits: 20, matches: 2 },
    'key-announcement': { bits: 24, matches: 2 },
    'address-claim': { bits: 24, matches: 2 },
  },
} as const

/** True for the strict header form used by all types but key announcements (CM wire 2.1). */
export function isProofOfWorkHeader(value: string): boolean {
  return HEADER_VALUE.test(value)
}

/** `SenderProofOfWork` as a demand: `bd,` and two integers within what a generator can make; else undefined (CM wire 3.4). */
export function parseProofOfWorkDemand(value: string): ProofOfWorkStrength | undefined {
  const match = DEMAND_VALUE.exec(value)
  const bits = Number(match?.[1] ?? Number.NaN)
  const matches = Number(match?.[2] ?? Number.NaN)
  return bits <= MAX_BITS && matches <= MAX_MATCHES ? { bits, matches } : undefined
}

/** `bd,bits,matches`, as key announcements state it (CM wire 3.4). */
export function encodeProofOfWorkDemand(demand: ProofOfWorkStrength): string {
  return `bd,${demand.bits},${demand.matches}`
}

/** Both parts count: many bits do not make up for a missing match. */
export function meetsDemand(shown: ProofOfWorkStrength, demand: ProofOfWorkStrength): boolean {
  return shown.bits >= demand.bits && shown.matches >= demand.matches
}

/** The stronger of two demands, each part by itself (CM wire 8.5). */
export function strongerDemand(a: ProofOfWorkStrength, b: ProofOfWorkStrength): ProofOfWorkStrength {
  return { bits: Math.max(a.bits, b.bits), matches: Math.max(a.matches, b.matches) }
}

/** Bytes as one piece or several in order: a whole message need not be joined. */
export type ProofOfWorkData = Uint8Array | readonly Uint8Array[]

/** Octets up to which nonce and data are joined for one call: hashing piece by piece costs more than the copy. */
const MAX_JOINED_BYTES = 16 * 1024

function digest(nonce: string, data: ProofOfWorkData): Buffer {
  const pieces = data instanceof Uint8Array ? [data] : data
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, nonce.length)
  if (bytes <= MAX_JOINED_BYTES) {
    return hash('sha256', Buffer.concat([Buffer.from(nonce, 'utf8'), ...pieces]), 'buffer')
  }
  const sha256 = createHash('sha256').update(nonce)
  for (const piece of pieces) sha256.update(piece)
  return sha256.digest()
}

function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0)
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24
  }
  return MAX_BITS
}

/** The nonce texts behind the first `bd`, repeats left out; undefined when there is no `bd` (CM wire 5.3). */
function nonces(text: string): string[] | undefined {
  const seen = new Set<string>()
  let armed = false
  const found: string[] = []
  for (const token of text.split(',')) {
    if (seen.has(token)) continue
    seen.add(token)
    if (armed) found.push(token)
    else if (token === 'bd') armed = true
  }
  return armed ? found : undefined
}

/**
 * What a proof shows for these data, by the reference's rules: nonces are hashed as written and compared with the
 * first one only; the weakest pair counts (CM wire 5.3). Above MAX_VERIFIED_NONCES nothing is hashed and bits are 0.
 */
export function measureProofOfWork(text: string, data: ProofOfWorkData): ProofOfWorkStrength {
  const found = nonces(text)
  if (found === undefined) return { bits: 0, matches: -1 }
  const [first, ...others] = found
  if (first === undefined || others.length === 0 || found.length > MAX_VERIFIED_NONCES) {
    return { bits: 0, matches: found.length }
  }
  const base = digest(first, data)
  const bits = Math.min(...others.map((nonce) => commonBits(base, digest(nonce, data))))
  return { bits, matches: found.length }
}

/** Expected hashes for a proof: about 1.25·2^(n/2) for two matches, (k!)^(1/k)·2^(n(k−1)/k) for k (CM wire 5.4). */
export function estimateHashes(bits: number, matches: number): number {
  if (matches <= 2) return Math.sqrt(Math.PI / 2) * 2 ** (bits / 2)
  let factorial = 1
  for (let i = 2; i <= matches; i++) factorial *= i
  return factorial ** (1 / matches) * 2 ** ((bits * (matches - 1)) / matches)
}

/** The nonce text of the reference: nine lower-case hex digits (CM wire 5.2). */
export function nonceText(nonce: number): string {
  return nonce.toString(16).padStart(9, '0')
}

/** SHA-256 as 32 latin1 characters: three times faster than a Buffer per digest (measurements 2). */
export function sha256Latin1(input: Uint8Array): string {
  // 'binary' is Node's other name for latin1, the one its types know.
  return hash('sha256', input, 'binary')
}

/** The first `bits` bits of a digest given as latin1 text, as a map key. */
export function digestPrefix(latin1Digest: string, bits: number): string {
  const bytes = bits >> 3
  const rest = bits & 7
  const whole = latin1Digest.slice(0, bytes)
  if (rest === 0) return whole
  return whole + String.fromCharCode(latin1Digest.charCodeAt(bytes) & (0xff << (8 - rest)) & 0xff)
}

/** Two at least, as the reference raises smaller ones; RangeError above MAX_MATCHES or MAX_BITS (CM wire 5.2). */
export function checkedDemand(demand: ProofOfWorkStrength): ProofOfWorkStrength {
  if (demand.matches > MAX_MATCHES || demand.bits > MAX_BITS) {
    throw new RangeError(`no proof of work of ${demand.bits} bits and ${demand.matches} matches can be made`)
  }
  return { bits: Math.max(0, demand.bits), matches: Math.max(2, demand.matches) }
}

/**
 * Makes a proof on this thread, with exactly the nonces the reference finds (CM wire 5.2). Its table grows with
 * 2^(bits/2) and it blocks: for small demands and tests; `createProofOfWorkSolver` is for everything else.
 */
export function solveProofOfWork(demand: ProofOfWorkStrength, data: Uint8Array): string {
  const { bits, matches } = checkedDemand(demand)
  const input = Buffer.concat([Buffer.alloc(9), data])
  const found = new Map<string, number[]>()
  for (let nonce = 0; ; nonce++) {
    input.write(nonceText(nonce), 0, 'latin1')
    const prefix = digestPrefix(sha256Latin1(input), bits)
    const same = found.get(prefix)
    if (same === undefined) found.set(prefix, [nonce])
    else if (same.push(nonce) === matches) return encodeProof(same)
  }
}

/** `bd,` and the nonces in order. */
export function encodeProof(proof: readonly number[]): string {
  return `bd,${proof.map(nonceText).join(',')}`
}

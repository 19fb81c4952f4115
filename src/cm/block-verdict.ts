import type { CertificateRefusal } from './certificate.ts'
import type { BlockKey, KeyId } from './ids.ts'
import type { ProofOfWorkStrength } from './proof-of-work.ts'
import type { RejectReason } from './reject-reason.ts'
import type { BlockType } from './server/port.ts'

/** What validation says of a block: the same words for the CM server, the client and `cmbridge inspect`. */

/** Where a block comes from decides how much work it must show and how big it may be (CM wire 2.2). */
export type CmNetwork = 'server' | 'entangled'

/** Ages in milliseconds after which a type is expired; a server's are configurable, Entangled's are not (CM wire 9.7). */
export type MaxAges = Readonly<Record<BlockType, number>>

const DAY_MS = 86_400_000

/** CM wire 2.2. */
export const DEFAULT_MAX_AGES: MaxAges = {
  data: 10 * DAY_MS,
  'message-announcement': 10 * DAY_MS,
  acknowledgment: 10 * DAY_MS,
  'address-claim': 10 * DAY_MS,
  'key-announcement': 31 * DAY_MS,
}

/** How far ahead of our clock a Date may be; the reference takes any, which makes blocks immortal (CM wire S11). */
export const MAX_FUTURE_MS = DAY_MS

/** Against what a block is judged. */
export interface BlockRules {
  readonly network: CmNetwork
  readonly nowMs: number
  /** On a server, its own ages; on Entangled the defaults hold. */
  readonly maxAges?: Partial<MaxAges> | undefined
  /** Measures proofs and verifies claims even of what is refused already: for people who look, not for servers (S9). */
  readonly isThorough?: boolean
}

export interface RecordVerdict {
  /** undefined: accepted. */
  readonly reason: RejectReason | undefined
  /** What a newer record replaces: the MessageHash, the claiming key id, or the block key. */
  readonly identity: string
  /** CM date text as received; undefined when there is none. */
  readonly date: string | undefined
  /** undefined when there is no date or it is impossible. */
  readonly dateMs: number | undefined
  /** Measured even when it is too weak; undefined where it was not looked at. */
  readonly proofOfWork: ProofOfWorkStrength | undefined
  /** Signed types only. `unknown-key`: the claim is taken, but nobody has checked it. */
  readonly signature?: 'good' | 'bad' | 'unknown-key' | 'none'
  /** Who speaks or is spoken to: the claiming or announced key, the announcement's recipient. */
  readonly keyId?: KeyId | undefined
  /** Why the certificate inside is not taken: `certificate` in more words. */
  readonly certificateRefusal?: CertificateRefusal | undefined
  /** The record as it would be stored, LF line ends; for data the header with its `Data` line. */
  readonly text: string
}

export interface BlockVerdict {
  readonly type: BlockType | undefined
  readonly key: BlockKey
  /** undefined: accepted, which for multi-record types means that at least one record is. */
  readonly reason: RejectReason | undefined
  /** One for single-record types; none when the block could not be read at all. */
  readonly records: readonly RecordVerdict[]
}

/** The reason when a date is impossible, too far ahead or too old; undefined when it is fine (CM wire 2.2, S3, S11). */
export function judgeDate(
  type: BlockType,
  dateMs: number | undefined,
  rules: BlockRules,
): RejectReason | undefined {
  if (dateMs === undefined) return 'date'
  if (dateMs > rules.nowMs + MAX_FUTURE_MS) return 'future'
  const configured = rules.network === 'server' ? rules.maxAges?.[type] : undefined
  const maxAgeMs = configured ?? DEFAULT_MAX_AGES[type]
  const ageMs = rules.nowMs - dateMs
  // The limit itself is too old for keys and young enough for everything else (CM wire 2.2).
  const isExpired = type === 'key-announcement' ? ageMs >= maxAgeMs : ageMs > maxAgeMs
  return isExpired ? 'expired' : undefined
}

/** The block's verdict from its records': accepted when one of them is, else the first one's reason. */
export function verdictOf(type: BlockType, key: BlockKey, records: readonly RecordVerdict[]): BlockVerdict {
  const isAccepted = records.some((record) => record.reason === undefined)
  return { type, key, reason: isAccepted ? undefined : (records[0]?.reason ?? 'malformed'), records }
}

/** A verdict on a block that could not be read record by record. */
export function rejectedBlock(
  type: BlockType | undefined,
  key: BlockKey,
  reason: RejectReason,
): BlockVerdict {
  return { type, key, reason, records: [] }
}

import { acknowledgmentProofInput, parseAcknowledgment } from './acknowledgment.ts'
import { MAX_ENTANGLED_PAYLOAD_BYTES, MAX_HEADER_TEXT_BYTES, MAX_SERVER_PAYLOAD_BYTES } from './block-text.ts'
import type { BlockRules, BlockVerdict, RecordVerdict } from './block-verdict.ts'
import { judgeDate, rejectedBlock, verdictOf } from './block-verdict.ts'
import { type DataBlockHeader, dataProofInput, parseDataBlockHeader } from './data-block.ts'
import type { BlockKey } from './ids.ts'
import { acknowledgmentId, dataBlockKey, idBytes, mailboxHash } from './ids.ts'
import type { MessageAnnouncementRecord } from './message-announcement.ts'
import { announcementProofInput, parseMessageAnnouncements } from './message-announcement.ts'
import type { ProofOfWorkData, ProofOfWorkStrength } from './proof-of-work.ts'
import { measureProofOfWork, meetsDemand, PROOF_OF_WORK_FLOORS } from './proof-of-work.ts'
import type { RejectReason } from './reject-reason.ts'
import type { BlockType } from './server/port.ts'
import { parseUtcTime } from './utc-time.ts'

/**
 * Judges the three unsigned types, synchronously: cheap checks first, proof of work last (CM wire 2.3 to 2.5, S9).
 * What it says of a record holds at `rules.nowMs` and may be asked again at every merge.
 */

interface Measured {
  readonly reason: RejectReason | undefined
  readonly proofOfWork: ProofOfWorkStrength | undefined
}

/** Keeps the reason there is; else measures the proof and asks for what the type demands. */
export function judgeProof(
  type: BlockType,
  proof: { readonly text: string | undefined; readonly data: () => ProofOfWorkData },
  given: { readonly reason: RejectReason | undefined; readonly rules: BlockRules },
): Measured {
  const { reason } = given
  if (reason !== undefined && given.rules.isThorough !== true) return { reason, proofOfWork: undefined }
  if (proof.text === undefined) return { reason: reason ?? 'proof-of-work', proofOfWork: undefined }
  const proofOfWork = measureProofOfWork(proof.text, proof.data())
  const isEnough = meetsDemand(proofOfWork, PROOF_OF_WORK_FLOORS[given.rules.network][type])
  return { reason: reason ?? (isEnough ? undefined : 'proof-of-work'), proofOfWork }
}

function isTooLong(text: string): boolean {
  return Buffer.byteLength(text) > MAX_HEADER_TEXT_BYTES
}

/** Judges an acknowledgment (CM wire 2.5). */
export function judgeAcknowledgment(key: BlockKey, text: string, rules: BlockRules): BlockVerdict {
  if (isTooLong(text)) return rejectedBlock('acknowledgment', key, 'too-large')
  const parsed = parseAcknowledgment(text)
  const { acknowledgment } = parsed
  const dateMs = parseUtcTime(acknowledgment.date ?? '')
  const cheap = (): RejectReason | undefined => {
    if (acknowledgment.secret === undefined) return 'malformed'
    const id: string = acknowledgmentId(idBytes(acknowledgment.secret))
    return id === key ? judgeDate('acknowledgment', dateMs, rules) : 'hash-mismatch'
  }
  const proof = { text: acknowledgment.proofOfWork, data: () => acknowledgmentProofInput(acknowledgment) }
  const measured = judgeProof('acknowledgment', proof, { reason: cheap(), rules })
  const record = { ...measured, identity: key, date: acknowledgment.date, dateMs, text: parsed.text }
  return verdictOf('acknowledgment', key, [record])
}

/** Judges one announcement record for the mailbox `key`. A Recipient is required (CM wire 2.4, S8). */
export function judgeMessageRecord(
  key: BlockKey,
  record: MessageAnnouncementRecord,
  rules: BlockRules,
): RecordVerdict {
  const { announcement } = record
  const dateMs = parseUtcTime(announcement.date ?? '')
  const cheap = (): RejectReason | undefined => {
    if (announcement.recipient === undefined) return 'recipient'
    if (mailboxHash(announcement.mailboxPrefix, announcement.recipient) !== key) return 'hash-mismatch'
    return judgeDate('message-announcement', dateMs, rules)
  }
  const proof = { text: announcement.proofOfWork, data: () => announcementProofInput(announcement) }
  const measured = judgeProof('message-announcement', proof, { reason: cheap(), rules })
  return {
    ...measured,
    identity: announcement.messageHash,
    date: announcement.date,
    dateMs,
    keyId: announcement.recipient,
    text: record.text,
  }
}

/** Judges every record of a message announcement block. */
export function judgeMessageAnnouncements(key: BlockKey, text: string, rules: BlockRules): BlockVerdict {
  const parsed = parseMessageAnnouncements(text)
  if (parsed.kind !== 'ok') return rejectedBlock('message-announcement', key, parsed.kind)
  const records = parsed.records.map((record) => judgeMessageRecord(key, record, rules))
  return verdictOf('message-announcement', key, records)
}

/** Judges a data block: header text with its `Data` line, and the payload (CM wire 2.3, S17). */
export function judgeDataBlock(
  key: BlockKey,
  block: { readonly text: string; readonly payload: Uint8Array },
  rules: BlockRules,
): BlockVerdict {
  if (isTooLong(block.text)) return rejectedBlock('data', key, 'too-large')
  const { header, text } = parseDataBlockHeader(block.text)
  const dateMs = parseUtcTime(header.date ?? '')
  const cheap = judgeHeader(header, dateMs, rules)
  const content = (): RejectReason | undefined => {
    if (block.payload.byteLength !== header.payloadBytes) return 'length'
    return dataBlockKey(block.payload) === key ? undefined : 'hash-mismatch'
  }
  const proof = { text: header.proofOfWork, data: () => dataProofInput(header.date ?? '', block.payload) }
  const measured = judgeProof('data', proof, { reason: cheap ?? content(), rules })
  return verdictOf('data', key, [{ ...measured, identity: key, date: header.date, dateMs, text }])
}

/** What the header alone tells, before a byte of payload is taken: its size, its date, that there is a proof. */
export function judgeDataHeader(headerText: string, rules: BlockRules): RejectReason | undefined {
  const { header } = parseDataBlockHeader(headerText)
  return judgeHeader(header, parseUtcTime(header.date ?? ''), rules)
}

function judgeHeader(
  header: DataBlockHeader,
  dateMs: number | undefined,
  rules: BlockRules,
): RejectReason | undefined {
  if (header.payloadBytes === undefined) return 'malformed'
  const maxBytes = rules.network === 'server' ? MAX_SERVER_PAYLOAD_BYTES : MAX_ENTANGLED_PAYLOAD_BYTES
  if (header.payloadBytes > maxBytes) return 'too-large'
  if (header.proofOfWork === undefined) return 'proof-of-work'
  return judgeDate('data', dateMs, rules)
}

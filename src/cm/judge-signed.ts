import type { AddressClaim, AddressClaimRecord } from './address-claim.ts'
import { claimProofInput, parseAddressClaims } from './address-claim.ts'
import { blockLines } from './block-text.ts'
import type { BlockRules, BlockVerdict, RecordVerdict } from './block-verdict.ts'
import { judgeDate, rejectedBlock, verdictOf } from './block-verdict.ts'
import type { Certificate, CertificateRefusal } from './certificate.ts'
import type { BlockKey, KeyId } from './ids.ts'
import { addressHash, keyAnnouncementKey } from './ids.ts'
import { judgeProof } from './judge-unsigned.ts'
import type { KeyAnnouncement } from './key-announcement.ts'
import { parseKeyAnnouncement } from './key-announcement.ts'
import { parseCertificate } from './openpgp/certificates.ts'
import { verifyClearSigned } from './openpgp/clear-signatures.ts'
import type { ProofOfWorkStrength } from './proof-of-work.ts'
import { measureProofOfWork, meetsDemand, PROOF_OF_WORK_FLOORS } from './proof-of-work.ts'
import type { RejectReason } from './reject-reason.ts'
import { parseUtcTime } from './utc-time.ts'

/** Judges the two clear-signed types. The reference verifies no claim at all; we do, on both ends (CM wire 3.3, 4, S7). */

/** Who posts: a logged-in key, nobody, or undefined where the login rule does not hold (Entangled, look-ups, CM wire 9.2). */
export type Poster = KeyId | 'none' | undefined

export type VerifiedKeyAnnouncement =
  | {
      readonly kind: 'ok'
      readonly announcement: KeyAnnouncement
      readonly certificate: Certificate
      readonly proofOfWork: ProofOfWorkStrength
      /** Past its `Expires`: a flag for readers, a refusal for servers (CM wire 3.3). */
      readonly isExpired: boolean
    }
  | {
      readonly kind: 'rejected'
      readonly reason: RejectReason
      readonly announcement?: KeyAnnouncement
      readonly proofOfWork?: ProofOfWorkStrength
      /** The certificate's key, when it could be read; else why not. */
      readonly keyId?: KeyId
      /** With reason `signature`: what the key itself says, e.g. that it is expired, which makes the signature bad. */
      readonly certificate?: Certificate
      readonly certificateRefusal?: CertificateRefusal
    }

interface KeyAnnouncementDemand {
  readonly nowMs: number
  /** 0,0 for a reader (CM wire 8.9), 24,2 for a server. */
  readonly demand: ProofOfWorkStrength
  /** Asked after the certificate was read and before the signature is verified, which costs the most. */
  readonly check?: (announcement: KeyAnnouncement, certificate: Certificate) => RejectReason | undefined
}

/**
 * Verifies a key announcement as every reader must: proof of work, exactly one certificate, and a signature of that
 * certificate over the whole text (CM wire 3.3 a to h). Age and poster are the caller's to judge.
 */
export async function verifyKeyAnnouncement(
  text: string,
  options: KeyAnnouncementDemand,
): Promise<VerifiedKeyAnnouncement> {
  const parsed = parseKeyAnnouncement(text)
  if (parsed.kind === 'rejected') return parsed
  const { announcement } = parsed
  const proofOfWork = measureProofOfWork(announcement.proofOfWork, announcement.proofInput)
  const known = { announcement, proofOfWork }
  if (!meetsDemand(proofOfWork, options.demand))
    return { kind: 'rejected', reason: 'proof-of-work', ...known }
  const read = await parseCertificate(announcement.keyBlock, options.nowMs)
  if (read.kind === 'refused') {
    return { kind: 'rejected', reason: 'certificate', ...known, certificateRefusal: read.reason }
  }
  const { certificate } = read
  const reason = options.check?.(announcement, certificate)
  if (reason !== undefined) return { kind: 'rejected', reason, ...known, keyId: certificate.keyId }
  const signature = await verifyClearSigned(announcement.signed, [certificate], options.nowMs)
  if (signature.kind !== 'good') {
    return { kind: 'rejected', reason: 'signature', ...known, keyId: certificate.keyId, certificate }
  }
  const isExpired = announcement.expiresMs !== undefined && options.nowMs > announcement.expiresMs
  return { kind: 'ok', ...known, certificate, isExpired }
}

function isPoster(poster: Poster, keyId: KeyId): boolean {
  return poster === undefined || poster.toLowerCase() === keyId
}

/** Judges a key announcement for a store (CM wire 3.3). */
export async function judgeKeyAnnouncement(
  key: BlockKey,
  text: string,
  context: { readonly rules: BlockRules; readonly poster: Poster },
): Promise<BlockVerdict> {
  const { rules } = context
  const verified = await verifyKeyAnnouncement(text, {
    nowMs: rules.nowMs,
    demand: PROOF_OF_WORK_FLOORS[rules.network]['key-announcement'],
    check: (announcement, certificate) => {
      if (keyAnnouncementKey(certificate.keyId) !== key) return 'hash-mismatch'
      if (!isPoster(context.poster, certificate.keyId)) return 'user'
      if (announcement.expiresMs !== undefined && rules.nowMs > announcement.expiresMs) return 'expired'
      return judgeDate('key-announcement', announcement.dateMs, rules)
    },
  })
  const isSignatureBad = verified.kind === 'rejected' && verified.reason === 'signature'
  const record: RecordVerdict = {
    reason: verified.kind === 'ok' ? undefined : verified.reason,
    identity: key,
    date: verified.announcement?.date,
    dateMs: verified.announcement?.dateMs,
    proofOfWork: verified.proofOfWork,
    keyId: verified.kind === 'ok' ? verified.certificate.keyId : verified.keyId,
    text: `${blockLines(text).join('\n')}\n`,
    ...(verified.kind === 'rejected' && { certificateRefusal: verified.certificateRefusal }),
    ...(verified.kind === 'ok' && { signature: 'good' as const }),
    ...(isSignatureBad && { signature: 'bad' as const }),
  }
  return verdictOf('key-announcement', key, [record])
}

export interface ClaimContext {
  readonly rules: BlockRules
  readonly poster: Poster
  /** The key's armored certificate, if it is known here (CM wire 4). */
  readonly publicKeyFor: (keyId: KeyId) => Promise<string | undefined>
}

function judgeClaimFields(
  key: BlockKey,
  claim: AddressClaim,
  context: Pick<ClaimContext, 'rules' | 'poster'>,
): RejectReason | undefined {
  if (claim.keyId === undefined || claim.address === undefined) return 'malformed'
  if (addressHash(claim.address) !== key) return 'hash-mismatch'
  if (!isPoster(context.poster, claim.keyId)) return 'user'
  return judgeDate('address-claim', parseUtcTime(claim.date ?? ''), context.rules)
}

/** Everything but the signature: synchronous, so that a merge may ask it again of what is stored. */
export function judgeClaimRecord(
  key: BlockKey,
  record: AddressClaimRecord,
  context: Pick<ClaimContext, 'rules' | 'poster'>,
): RecordVerdict {
  const nothing = { date: undefined, dateMs: undefined, proofOfWork: undefined, text: '' }
  if (record.kind === 'malformed' || record.kind === 'forbidden-header') {
    return { ...nothing, reason: record.kind, identity: '', signature: 'none' }
  }
  const { claim } = record
  const proof = { text: claim.proofOfWork, data: () => claimProofInput(claim) }
  const reason = record.kind === 'unsigned' ? 'unsigned' : judgeClaimFields(key, claim, context)
  const measured = judgeProof('address-claim', proof, { reason, rules: context.rules })
  return {
    ...measured,
    identity: claim.keyId ?? '',
    date: claim.date,
    dateMs: parseUtcTime(claim.date ?? ''),
    keyId: claim.keyId,
    signature: record.kind === 'unsigned' ? 'none' : 'unknown-key',
    text: record.kind === 'unsigned' ? '' : record.text,
  }
}

async function judgeClaimSignature(
  record: AddressClaimRecord,
  verdict: RecordVerdict,
  context: ClaimContext,
): Promise<RecordVerdict> {
  if (record.kind !== 'signed' || verdict.keyId === undefined) return verdict
  if (verdict.reason !== undefined && context.rules.isThorough !== true) return verdict
  const armored = await context.publicKeyFor(verdict.keyId)
  if (armored === undefined) return verdict
  const read = await parseCertificate(armored, context.rules.nowMs)
  const bad: RecordVerdict = { ...verdict, reason: verdict.reason ?? 'signature', signature: 'bad' }
  if (read.kind === 'refused' || read.certificate.keyId !== verdict.keyId) return bad
  const signature = await verifyClearSigned(record.signed, [read.certificate], context.rules.nowMs)
  return signature.kind === 'good' ? { ...verdict, signature: 'good' } : bad
}

/** Judges every claim of a block; an unknown key is no reason to refuse, an unsigned claim is (CM wire 4, S7). */
export async function judgeAddressClaims(
  key: BlockKey,
  text: string,
  context: ClaimContext,
): Promise<BlockVerdict> {
  const parsed = parseAddressClaims(text)
  if (parsed === undefined) return rejectedBlock('address-claim', key, 'too-large')
  const records: RecordVerdict[] = []
  for (const record of parsed) {
    const verdict = judgeClaimRecord(key, record, context)
    records.push(await judgeClaimSignature(record, verdict, context))
  }
  return verdictOf('address-claim', key, records)
}

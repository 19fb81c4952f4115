import { acknowledgmentProofInput, encodeAcknowledgment } from './acknowledgment.ts'
import { claimAddress } from './address.ts'
import { claimProofInput, encodeAddressClaim } from './address-claim.ts'
import type { CmNetwork } from './block-verdict.ts'
import type { AcknowledgmentId, BlockKey } from './ids.ts'
import { acknowledgmentId, addressHash, keyAnnouncementKey } from './ids.ts'
import type { NewKeyAnnouncement } from './key-announcement.ts'
import { encodeKeyAnnouncementBody } from './key-announcement.ts'
import { announcedCertificate } from './openpgp/announced-certificate.ts'
import { clearsign } from './openpgp/clear-signatures.ts'
import { PROOF_OF_WORK_FLOORS, type ProofOfWorkStrength } from './proof-of-work.ts'
import type { SecretKey } from './secret-key.ts'
import type { Transport } from './transport.ts'
import { formatUtcTime } from './utc-time.ts'

/** Makes what an account publishes about itself, with proof of work and signature (CM wire 3.1, 4, 2.5). */

/** A key announcement says it is good for this long, and is renewed after it (CM wire 3.1, 3.5). */
export const ANNOUNCEMENT_LIFETIME_MS = 7 * 86_400_000

/** What a proof is asked of; the solver of `proof-of-work-solver.ts` fits. */
export interface ProofMaker {
  readonly solver: {
    solve(task: {
      readonly bits: number
      readonly matches: number
      readonly data: Uint8Array
      readonly signal?: AbortSignal
    }): Promise<string>
  }
  /** Becomes the Date and must not be ahead of the real time (K10). */
  readonly nowMs: number
  readonly signal?: AbortSignal
}

/** A block ready to be stored under its key, LF line ends. */
export interface BuiltBlock<Key = BlockKey> {
  readonly key: Key
  readonly text: string
}

export interface OwnAnnouncement {
  readonly secretKey: SecretKey
  readonly transport: Transport
  readonly mailboxPrefixes: readonly string[]
  /** What senders must do (CM wire 3.4). */
  readonly senderProofOfWork: ProofOfWorkStrength
  /** CM date text of our oldest issued token, when tokens are used (CM wire 6). */
  readonly bypassTokenAccepted?: string | undefined
}

function prove(maker: ProofMaker, demand: ProofOfWorkStrength, data: Uint8Array): Promise<string> {
  const { solver, signal } = maker
  return solver.solve({ ...demand, data, ...(signal !== undefined && { signal }) })
}

/** Builds and signs our key announcement (CM wire 3.1, 3.2). */
export async function buildKeyAnnouncement(own: OwnAnnouncement, maker: ProofMaker): Promise<BuiltBlock> {
  const { certificate } = own.secretKey
  const announcement: NewKeyAnnouncement = {
    date: formatUtcTime(maker.nowMs),
    expires: formatUtcTime(maker.nowMs + ANNOUNCEMENT_LIFETIME_MS),
    userId: certificate.primaryUserId,
    transport: own.transport,
    mailboxPrefixes: own.mailboxPrefixes,
    senderProofOfWork: own.senderProofOfWork,
    bypassTokenAccepted: own.bypassTokenAccepted,
    keyBlock: await announcedCertificate(certificate.armored),
  }
  const body = encodeKeyAnnouncementBody(announcement)
  const input = Buffer.from(body.replaceAll('\n', ''))
  const proof = await prove(maker, PROOF_OF_WORK_FLOORS.server['key-announcement'], input)
  const text = await clearsign(`ProofOfWork: ${proof}\n${body}`, own.secretKey, maker.nowMs)
  return { key: keyAnnouncementKey(certificate.keyId), text }
}

/** Builds and signs the claim of one of our addresses, lower-cased as every searcher does (CM wire 4). */
export async function buildAddressClaim(
  own: { readonly secretKey: SecretKey; readonly address: string },
  maker: ProofMaker,
): Promise<BuiltBlock> {
  const { keyId } = own.secretKey.certificate
  const claim = { date: formatUtcTime(maker.nowMs), keyId, address: claimAddress(own.address) }
  const demand = PROOF_OF_WORK_FLOORS.server['address-claim']
  const proofOfWork = await prove(maker, demand, claimProofInput(claim))
  const text = await clearsign(encodeAddressClaim({ ...claim, proofOfWork }), own.secretKey, maker.nowMs)
  return { key: addressHash(claim.address), text }
}

/** Builds the acknowledgment that reveals a 20-byte secret (CM wire 2.5); it is stored under its public id. */
export async function buildAcknowledgment(
  own: { readonly secret: Uint8Array; readonly network: CmNetwork },
  maker: ProofMaker,
): Promise<BuiltBlock<AcknowledgmentId>> {
  const date = formatUtcTime(maker.nowMs)
  const input = acknowledgmentProofInput({ date, secret: Buffer.from(own.secret).toString('hex') })
  const proofOfWork = await prove(maker, PROOF_OF_WORK_FLOORS[own.network].acknowledgment, input)
  const text = encodeAcknowledgment({ date, proofOfWork, secret: own.secret })
  return { key: acknowledgmentId(own.secret), text }
}

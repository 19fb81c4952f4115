import { type BuiltBlock, buildAddressClaim, buildKeyAnnouncement } from '../cm/build-announcements.ts'
import type { ProofOfWorkSolver } from '../cm/proof-of-work-solver.ts'
import type { SecretKey } from '../cm/secret-key.ts'
import type { Transport } from '../cm/transport.ts'

/** Our mailboxes: four, as the reference's default (CM message 10.1). */
export const OWN_MAILBOX_PREFIXES = ['0', '1', '2', '3'] as const
/** The work we ask of senders: the reference's default, Low (CM wire 5.4). */
export const OWN_PROOF_OF_WORK = { bits: 24, matches: 2 } as const

export interface OwnIdentity {
  readonly secretKey: SecretKey
  readonly address: string
  readonly transport: Transport
  readonly nowMs: number
}

/** The account's key announcement and address claim of this moment, in the order they are posted (CM wire 4, 8.8). */
export async function buildOwnAnnouncements(
  identity: OwnIdentity,
  options: { readonly solver: ProofOfWorkSolver; readonly signal: AbortSignal },
): Promise<readonly BuiltBlock[]> {
  const { secretKey, transport, address, nowMs } = identity
  const maker = { ...options, nowMs }
  const own = {
    secretKey,
    transport,
    mailboxPrefixes: OWN_MAILBOX_PREFIXES,
    senderProofOfWork: OWN_PROOF_OF_WORK,
  }
  return [await buildKeyAnnouncement(own, maker), await buildAddressClaim({ secretKey, address }, maker)]
}

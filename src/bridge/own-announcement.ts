import { type BuiltBlock, buildAddressClaim, buildKeyAnnouncement } from '../cm/build-announcements.ts'
import type { ProofOfWorkStrength } from '../cm/proof-of-work.ts'
import type { ProofOfWorkSolver } from '../cm/proof-of-work-solver.ts'
import type { SecretKey } from '../cm/secret-key.ts'
import type { Transport } from '../cm/transport.ts'
import type { AccountNetwork } from '../store/account-queries.ts'

/** Nonces we ask of senders: a reference generator delivers too few from ten on (CM wire 5.2). */
const MATCHES = 2

/** Prefixes of the mailboxes an account announces (CM wire 3.4). */
export function announcedMailboxes({ mailboxCount }: AccountNetwork): string[] {
  return prefixes(mailboxCount)
}

/** Prefixes of the mailboxes that are looked at: those announced before too, while others go by that (CM message 10.1). */
export function polledMailboxes({ mailboxCount, previous }: AccountNetwork, nowMs: number): string[] {
  const isInForce = previous !== undefined && nowMs < previous.untilMs
  return prefixes(Math.max(mailboxCount, isInForce ? previous.mailboxCount : 0))
}

function prefixes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index))
}

/** The work that is asked of senders. */
export function announcedProofOfWork({ costBits }: AccountNetwork): ProofOfWorkStrength {
  return { bits: costBits, matches: MATCHES }
}

/** The work that is enough: the lower of what is and was announced, while others go by the latter (CM message 10.1). */
export function acceptedProofOfWork(
  { costBits, previous }: AccountNetwork,
  nowMs: number,
): ProofOfWorkStrength {
  const isInForce = previous !== undefined && nowMs < previous.untilMs
  return { bits: isInForce ? Math.min(costBits, previous.costBits) : costBits, matches: MATCHES }
}

export interface OwnIdentity {
  readonly secretKey: SecretKey
  readonly address: string
  readonly transport: Transport
  readonly network: AccountNetwork
  /** CM date text: tokens made from then on are taken (CM wire 6); undefined: none are. */
  readonly bypassTokenAccepted?: string | undefined
  readonly nowMs: number
}

/** The account's key announcement and address claim of this moment, in the order they are posted (CM wire 4, 8.8). */
export async function buildOwnAnnouncements(
  identity: OwnIdentity,
  options: { readonly solver: ProofOfWorkSolver; readonly signal: AbortSignal },
): Promise<readonly BuiltBlock[]> {
  const { secretKey, transport, address, network, bypassTokenAccepted, nowMs } = identity
  const maker = { ...options, nowMs }
  const own = {
    secretKey,
    transport,
    mailboxPrefixes: announcedMailboxes(network),
    senderProofOfWork: announcedProofOfWork(network),
    bypassTokenAccepted,
  }
  return [await buildKeyAnnouncement(own, maker), await buildAddressClaim({ secretKey, address }, maker)]
}

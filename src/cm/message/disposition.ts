import type { UnreadableReason } from './decode-message.ts'

/** Where a message goes, as a pure function of what is known about it: the table of design 8.8. */

export type SignatureWord = 'good' | 'bad' | 'unknown-key' | 'mismatch' | 'none'

/** The announcement's work against our demand; `unknown` when there is no announcement to look at. */
export type WorkResult = 'met' | 'bypassed' | 'below' | 'unknown'

/** What is wrong with the header's Date; the signature covers it, so only its sender can have made it so. */
export type DateFault = 'date-unreadable' | 'date-ahead' | 'date-not-signing-time'

export type DispositionFacts =
  | { readonly kind: 'unreadable'; readonly reason: UnreadableReason }
  | {
      readonly kind: 'readable'
      readonly signature: SignatureWord
      /** Set when the signature is true but ahead of our clock: hold the message, decide when that time has come. */
      readonly heldUntilMs?: number | undefined
      /** Our key id stands in To, Cc or Bcc. */
      readonly isNamed: boolean
      readonly dateFault: DateFault | undefined
      readonly isFolderSync: boolean
      readonly work: WorkResult
      /** Another unblocked key claims the sender's address. */
      readonly hasCollision: boolean
      readonly isBlocked: boolean
    }

export type DispositionReason =
  | UnreadableReason
  | DateFault
  | 'verified'
  | 'key-collision'
  | 'recipient-not-named'
  | 'signer-is-not-from'
  | 'bad-signature'
  | 'unknown-key'
  | 'not-signed'
  | 'signed-in-future'
  | 'work-below-demand'
  | 'sender-blocked'
  | 'folder-sync'

export interface Disposition {
  readonly place: 'inbox' | 'junk' | 'quarantine' | 'hidden'
  readonly reason: DispositionReason
  /** Only ever true for mail that verified; post it after the message is stored. */
  readonly acknowledge: boolean
  /** Text only: no HTML, no pictures, with a marker (design 8.6). */
  readonly show: 'everything' | 'text-only'
}

const SIGNATURE_REASON: Readonly<Record<Exclude<SignatureWord, 'good'>, DispositionReason>> = {
  bad: 'bad-signature',
  'unknown-key': 'unknown-key',
  mismatch: 'signer-is-not-from',
  none: 'not-signed',
}

/** The first rule that fits decides (design 8.8). */
export function decideDisposition(facts: DispositionFacts): Disposition {
  if (facts.kind === 'unreadable') return withoutTrust('quarantine', facts.reason)
  // Signed by our own key for us alone: acknowledged like any mail to oneself (CM message 7.4).
  if (facts.isFolderSync) {
    const acknowledge = facts.dateFault === undefined
    return { place: 'hidden', reason: 'folder-sync', acknowledge, show: 'text-only' }
  }
  if (facts.isBlocked) return withoutTrust('junk', 'sender-blocked')
  if (facts.work === 'below') return withoutTrust('junk', 'work-below-demand')
  if (facts.heldUntilMs !== undefined) return withoutTrust('inbox', 'signed-in-future')
  if (facts.signature !== 'good') return withoutTrust('inbox', SIGNATURE_REASON[facts.signature])
  if (!facts.isNamed) return withoutTrust('inbox', 'recipient-not-named')
  if (facts.dateFault !== undefined) return withoutTrust('inbox', facts.dateFault)
  if (facts.hasCollision) {
    return { place: 'inbox', reason: 'key-collision', acknowledge: true, show: 'text-only' }
  }
  return { place: 'inbox', reason: 'verified', acknowledge: true, show: 'everything' }
}

function withoutTrust(place: Disposition['place'], reason: DispositionReason): Disposition {
  return { place, reason, acknowledge: false, show: 'text-only' }
}

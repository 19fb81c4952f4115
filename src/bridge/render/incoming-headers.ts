import type { KeyId } from '../../cm/ids.ts'
import type { Disposition, DispositionReason, SignatureWord } from '../../cm/message/disposition.ts'
import { formatUtcTime } from '../../cm/utc-time.ts'
import { encodeTextField } from '../../mail/encode-field.ts'
import { CM_KEYWORDS, type Flag } from '../../mail/flags.ts'
import { filterHeader } from '../../mail/header.ts'

/** How far a key is trusted for one account, strongest first, and the two that are not (design 9). */
type TrustWord = 'verified' | 'signed' | 'domain' | 'known' | 'new' | 'collision' | 'blocked'

/** All that is known about who wrote a message; decided once, when it is stored. */
export interface IncomingVerdict {
  readonly signature: SignatureWord
  readonly reason: DispositionReason
  readonly show: Disposition['show']
  /** Primary key of the signer; undefined unless the signature is true. */
  readonly signer: KeyId | undefined
  /** Undefined when the signer's key is not known. */
  readonly trust: TrustWord | undefined
  readonly firstSeenMs: number | undefined
  /** Every other unblocked key that claims the sender's address. */
  readonly collidingKeys: readonly KeyId[]
  /** Why the sender's key, which was found, cannot be used; undefined when it can, or was not found. */
  readonly keyProblem?: string | undefined
}

/** Where a message came from. */
export interface IncomingOrigin {
  /** Announcement id, 40 hex digits. */
  readonly messageId: string
  /** `host:port` of the CM server; undefined for what did not come from one. */
  readonly receivedFrom: string | undefined
}

/** Name under which the bridge says what it found (RFC 8601 2.2); `.invalid` is nobody's. */
const AUTHENTICATION_SERVICE_ID = 'cmbridge.invalid'

/**
 * One plain sentence per reason, in the reference client's words where it has some; undefined when nothing is wrong.
 */
const WARNINGS: Readonly<Partial<Record<DispositionReason, string>>> = {
  'bad-signature': 'BAD SIGNATURE! This message was changed or not written by the sender it names.',
  'signer-is-not-from':
    'From line fingerprint does not match signature fingerprint. This may be a forgery attempt.',
  'key-collision': 'Good signature with key collision: another key claims the same address as the sender.',
  'unknown-key': 'The key of the sender could not be found, so the signature could not be checked.',
  'not-signed': 'This message is not signed, so anybody may have written it.',
  'recipient-not-named':
    'Good signature, but you are not among the recipients it names; somebody else may have passed it on.',
  'date-unreadable': 'Good signature, but the message has no date that can be read; it may be an old one.',
  'date-ahead': 'Good signature, but the date of the message lies in the future.',
  'date-not-signing-time':
    'Good signature, but the date of the message is not the time it was signed; it may be an old one.',
  'signed-in-future': 'The signature lies in the future, so it could not be checked.',
  'work-below-demand': 'This message came with less proof of work than you ask of strangers.',
  'sender-blocked': 'You have blocked the key of this sender.',
}

/** The sentence of X-CM-Warning and of the marker in the text; undefined when nothing is wrong. */
export function warningOf(verdict: IncomingVerdict): string | undefined {
  if (verdict.reason === 'verified') return undefined
  if (verdict.reason === 'unknown-key' && verdict.keyProblem !== undefined) {
    return `The signature could not be checked: ${verdict.keyProblem}.`
  }
  return WARNINGS[verdict.reason] ?? 'This message could not be verified.'
}

/** RFC 8601 2.7: the results of DKIM fit; `policy` is a true signature that we do not rely on. */
function authenticationResult(verdict: IncomingVerdict): string {
  switch (verdict.signature) {
    case 'good':
      return verdict.reason === 'verified' ? 'pass' : 'policy'
    case 'bad':
    case 'mismatch':
      return 'fail'
    case 'unknown-key':
      return 'temperror'
    case 'none':
      return 'none'
  }
}

/** The fields of design 10 above the message's own, each with its CRLF; nothing of them is anybody else's text. */
export function incomingFields(verdict: IncomingVerdict, origin: IncomingOrigin): string {
  const warning = warningOf(verdict)
  const signer = verdict.signer === undefined ? '' : ` policy.key=${verdict.signer}`
  const seen = verdict.firstSeenMs === undefined ? '' : `; first-seen=${formatUtcTime(verdict.firstSeenMs)}`
  const fields: readonly (readonly [string, string | undefined])[] = [
    [
      'Authentication-Results',
      `${AUTHENTICATION_SERVICE_ID}; x-cm=${authenticationResult(verdict)} reason=${verdict.reason}${signer}`,
    ],
    ['X-CM-From-Key', verdict.signer],
    ['X-CM-Signature', verdict.signature],
    ['X-CM-Trust', verdict.trust === undefined ? undefined : `${verdict.trust}${seen}`],
    ['X-CM-Key-Collision', verdict.collidingKeys.length === 0 ? undefined : verdict.collidingKeys.join(', ')],
    ['X-CM-Warning', warning],
    ['X-CM-Message-Id', origin.messageId],
    ['X-CM-Received-From', origin.receivedFrom],
  ]
  return fields.map(([name, value]) => (value === undefined ? '' : encodeTextField(name, value))).join('')
}

/** The keywords a message gets when it is stored (design 10). */
export function incomingKeywords(verdict: IncomingVerdict): readonly Flag[] {
  if (verdict.signature === 'bad' || verdict.signature === 'mismatch') {
    return [CM_KEYWORDS.badSignature, CM_KEYWORDS.phishing]
  }
  if (verdict.signature === 'good' && verdict.collidingKeys.length > 0) {
    return [CM_KEYWORDS.collision, CM_KEYWORDS.phishing]
  }
  return [verdict.reason === 'verified' ? CM_KEYWORDS.verified : CM_KEYWORDS.unverified]
}

/** Fields only the bridge may write on incoming mail. */
export function isBridgeField(name: string): boolean {
  const lower = name.toLowerCase()
  return lower.startsWith('x-cm-') || lower === 'authentication-results'
}

/** A header from the network without the fields that only the bridge may write (design 10). */
export function withoutBridgeFields(header: Uint8Array): Uint8Array {
  return filterHeader(header, (name) => !isBridgeField(name))
}

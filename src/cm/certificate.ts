import { addressOfUserId } from './address.ts'
import type { KeyId } from './ids.ts'

/** A public key as the rest of the program sees it: plain data that may cross threads. */
export interface Certificate {
  readonly keyId: KeyId
  /** Every self-signed id, revoked ones included, in the order they stand. */
  readonly userIds: readonly CertificateUserId[]
  /** The text of the id gpg would show: flagged primary, else newest, revoked ones never; undefined when all are revoked. */
  readonly primaryUserId: string | undefined
  readonly createdMs: number
  /** undefined: never, or not known because the key is revoked. */
  readonly expiresMs: number | undefined
  readonly revoked: boolean
  /** For people: `rsa 3072`, `eddsaLegacy ed25519Legacy`. */
  readonly algorithm: string
  /** As of the time the certificate was read. */
  readonly canEncrypt: Usability
  readonly canSign: Usability
  /** What its owner and correspondents should know, although it may be used. */
  readonly warnings: readonly CertificateWarning[]
  /** ASCII armor, LF line ends; without user attributes (photos). */
  readonly armored: string
  /** The key had user attributes, which `armored` leaves out (case K14). */
  readonly hadAttributes: boolean
}

export interface CertificateUserId {
  readonly text: string
  /** As written in the id, by design 9's rule; undefined when it has none. */
  readonly address: string | undefined
  readonly revoked: boolean
}

export type Usability = { readonly kind: 'yes' } | { readonly kind: 'no'; readonly reason: UnusableReason }

/** Why a key cannot be used for something. */
export type UnusableReason = 'revoked' | 'expired' | 'too-weak' | 'no-usable-key'

/** Octets of a key, armored or not: bigger ones are refused before anything is parsed (design 9). */
export const MAX_CERTIFICATE_BYTES = 256 * 1024
/** Packets of a key (design 9): each signature may cost a verification. */
export const MAX_CERTIFICATE_PACKETS = 1000
/** User ids of a key (design 9). */
export const MAX_USER_IDS = 10

/** Why a key is not taken, with a sentence for people. */
export const CERTIFICATE_REFUSALS = {
  'too-large': 'the key has more octets, packets or user ids than are taken',
  'not-a-key': 'this is not an OpenPGP public key',
  corrupt: 'the key is damaged',
  'several-certificates': 'there is more than one certificate',
  'secret-key': 'this is a secret key',
  'version-3': 'version 3 keys cannot be used on this network',
  'version-6': 'version 6 keys cannot be used on this network',
  'not-yet-valid': 'the key was made later than this clock says it is',
  'control-character': 'a user id holds a control character or a line separator',
  'user-id-encoding': 'the key has a name this program cannot check',
  'no-user-id': 'the key has no valid user id',
} as const

/** What is worth a word wherever a key is shown (docs/decisions/0009), with the sentence for people. */
export const CERTIFICATE_WARNINGS = {
  'short-key':
    'this key is so short that a large organisation may break it: its owner should make a longer one',
  'sha-1': 'every self-signature of this key uses SHA-1: its owner should renew it (gpg --quick-set-expire)',
} as const

export type CertificateWarning = keyof typeof CERTIFICATE_WARNINGS

export type CertificateRefusal = keyof typeof CERTIFICATE_REFUSALS

export type CertificateResult =
  | { readonly kind: 'ok'; readonly certificate: Certificate }
  | { readonly kind: 'refused'; readonly reason: CertificateRefusal }

/** The addresses a key stands for: of every user id that is not revoked, without repeats (design 9). */
export function certificateAddresses(certificate: Pick<Certificate, 'userIds'>): readonly string[] {
  const addresses = certificate.userIds.filter((id) => !id.revoked).map((id) => id.address)
  return [...new Set(addresses.filter((address) => address !== undefined))]
}

/** A user id with a valid self-signature, as the reader of keys finds it. */
export interface CertifiedId {
  readonly text: string
  readonly revoked: boolean
  readonly isPrimary: boolean
  /** Time of the newest valid self-signature. */
  readonly certifiedMs: number
  /** That signature is over a SHA-1 hash. */
  readonly isSha1: boolean
}

/** The id gpg shows: flagged primary first, then the newest self-signature, then the greater text (case K09). */
export function primaryUserId(ids: readonly CertifiedId[]): string | undefined {
  const order = (a: CertifiedId, b: CertifiedId) =>
    Number(b.isPrimary) - Number(a.isPrimary) || b.certifiedMs - a.certifiedMs || (a.text < b.text ? 1 : -1)
  return ids.filter((id) => !id.revoked).toSorted(order)[0]?.text
}

/** The id with its address by our own rule: openpgp.js's `email` is empty or wrong for odd ids (design 9). */
export function describeUserId(id: CertifiedId): CertificateUserId {
  const read = addressOfUserId(id.text)
  return { text: id.text, address: read.kind === 'address' ? read.address : undefined, revoked: id.revoked }
}

/** What a key may be used for; the reason is the one its owner can do something about. */
export function usability(
  state: { readonly revoked: boolean; readonly isExpired: boolean; readonly isWeak: boolean },
  hasKey: boolean,
): Usability {
  if (state.revoked) return { kind: 'no', reason: 'revoked' }
  if (state.isExpired) return { kind: 'no', reason: 'expired' }
  if (state.isWeak) return { kind: 'no', reason: 'too-weak' }
  return hasKey ? { kind: 'yes' } : { kind: 'no', reason: 'no-usable-key' }
}

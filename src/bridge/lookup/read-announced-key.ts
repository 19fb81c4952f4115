import {
  CERTIFICATE_REFUSALS,
  type Certificate,
  type CertificateRefusal,
  certificateAddresses,
} from '../../cm/certificate.ts'
import type { KeyId } from '../../cm/ids.ts'
import { type KeyAnnouncement, withKeyBlock } from '../../cm/key-announcement.ts'
import type { WorkerPool } from '../../cm/workers/worker-pool.ts'
import { lowerCaseAddress } from '../../mail/address.ts'
import type { ContactRecord } from '../../store/contact-operations.ts'
import type { UnusableKey } from '../key-lookup.ts'
import { repeatedHeader } from './repeated-header.ts'

/** What one key announcement is worth to us, with the reason in words for people (design 7.2, 9). */

export type AnnouncedKey =
  | { readonly kind: 'usable'; readonly contact: ContactRecord; readonly armored: string }
  | {
      readonly kind: 'unusable'
      readonly unusable: UnusableKey
      /** Of a verified announcement; 0 for one that is not, than which every good one is newer. */
      readonly announcedMs: number
      /** Lower case; undefined when the key cannot be read. */
      readonly addresses: readonly string[] | undefined
    }

/** Proof of work of a key that is only read is not asked for (CM wire 8.9). */
const NO_DEMAND = { bits: 0, matches: 0 }

/** Verifies an announcement on a crypto thread; undefined when it is of another key than the one asked for (CM wire S15). */
export async function readAnnouncedKey(
  pool: WorkerPool,
  given: { readonly keyId: KeyId; readonly text: string; readonly nowMs: number },
): Promise<AnnouncedKey | undefined> {
  const { keyId, text, nowMs } = given
  const verified = await pool.run('verifyKeyAnnouncement', { text, nowMs, demand: NO_DEMAND })
  const { certificate } = verified
  if (certificate !== undefined && certificate.keyId !== keyId) return undefined
  if (verified.kind === 'rejected') {
    return { ...unusable(rejection(keyId, verified), certificate), announcedMs: 0 }
  }
  const announcedMs = verified.announcement.dateMs
  const problem = problemOf(keyId, verified.certificate) ?? repetitionOf(keyId, verified.announcement)
  if (problem !== undefined) return { ...unusable(problem, certificate), announcedMs }
  const { primaryUserId, armored, expiresMs, hadAttributes } = verified.certificate
  if (primaryUserId === undefined) {
    const reason = `key ${keyId} has no valid user id`
    return { ...unusable({ keyId, reason, isKeysFault: true }, certificate), announcedMs }
  }
  const contact: ContactRecord = {
    keyId,
    userId: primaryUserId,
    addresses: lowerCaseAddresses(verified.certificate),
    // A photo is neither looked at nor kept (case K14).
    announcement: hadAttributes ? withKeyBlock(text, armored) : text,
    announcedMs,
    expiresMs,
  }
  return { kind: 'usable', contact, armored }
}

/** Readers differ in which of two equal headers counts, so an announcement with two says nothing (CM wire 3.3, 3.4). */
function repetitionOf(keyId: KeyId, { signed }: KeyAnnouncement): UnusableKey | undefined {
  const repeated = repeatedHeader(signed.lines)
  if (repeated === undefined) return undefined
  const reason = `the announcement of key ${keyId} is not valid (it says ${repeated} twice)`
  return { keyId, reason, isKeysFault: false }
}

function lowerCaseAddresses(certificate: Certificate): string[] {
  return [...new Set(certificateAddresses(certificate).map(lowerCaseAddress))]
}

function unusable(
  key: UnusableKey,
  certificate: Certificate | undefined,
): Omit<Extract<AnnouncedKey, { readonly kind: 'unusable' }>, 'announcedMs'> {
  const revoked = certificate?.revoked === true ? { revokedCertificate: certificate.armored } : {}
  return {
    kind: 'unusable',
    unusable: { ...key, ...revoked },
    addresses: certificate === undefined ? undefined : lowerCaseAddresses(certificate),
  }
}

/** Why a certificate cannot be encrypted to, and the cure; undefined when it can. */
function problemOf(keyId: KeyId, { canEncrypt, expiresMs }: Certificate): UnusableKey | undefined {
  if (canEncrypt.kind === 'yes') return undefined
  const words = {
    expired: `key expired${dayOf(expiresMs)}; ask the owner to renew it`,
    revoked: 'key was revoked by its owner; ask for the new one',
    'too-weak': 'key is too weak to be safe; ask the owner for a new one',
    'no-usable-key': 'key has nothing to encrypt to; ask the owner to add an encryption key',
  } as const satisfies Record<typeof canEncrypt.reason, string>
  return { keyId, reason: `${words[canEncrypt.reason]} (key ${keyId})`, isKeysFault: true }
}

function dayOf(timeMs: number | undefined): string {
  return timeMs === undefined ? '' : ` on ${new Date(timeMs).toISOString().slice(0, 10)}`
}

interface Rejected {
  readonly reason: string
  readonly certificate?: Certificate
  readonly certificateRefusal?: CertificateRefusal
}

/**
 * The true reason: an announcement by an expired key is badly signed *because* the key is expired (case K05), and a key
 * that cannot be read says more than "certificate" (cases K03, K08, K13).
 */
function rejection(keyId: KeyId, { reason, certificate, certificateRefusal }: Rejected): UnusableKey {
  const problem = certificate === undefined ? undefined : problemOf(keyId, certificate)
  if (problem !== undefined) return problem
  if (certificateRefusal !== undefined) {
    return { keyId, reason: refusalWords(keyId, certificateRefusal), isKeysFault: true }
  }
  return { keyId, reason: `the announcement of key ${keyId} is not valid (${reason})`, isKeysFault: false }
}

function refusalWords(keyId: KeyId, refusal: CertificateRefusal): string {
  switch (refusal) {
    case 'version-6':
      // The 40 digits it lies under are no fingerprint of it and are never shown (case K13).
      return CERTIFICATE_REFUSALS[refusal]
    case 'user-id-encoding':
      return `key ${keyId} has a name this program cannot check`
    default:
      return `key ${keyId} is not taken: ${CERTIFICATE_REFUSALS[refusal]}`
  }
}

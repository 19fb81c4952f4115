import {
  CERTIFICATE_REFUSALS,
  type Certificate,
  type CertificateRefusal,
  certificateAddresses,
} from '../../cm/certificate.ts'
import type { KeyId } from '../../cm/ids.ts'
import type { KeyAnnouncement } from '../../cm/key-announcement.ts'
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
      /** Of a verified announcement; 0 for one that is not: any good one is newer. */
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
    const reason = rejectionWords(keyId, verified)
    return { ...unusable(keyId, reason, certificate), announcedMs: 0 }
  }
  const announcedMs = verified.announcement.dateMs
  const problem = problemOf(keyId, verified.certificate) ?? repetitionOf(keyId, verified.announcement)
  if (problem !== undefined) return { ...unusable(keyId, problem, certificate), announcedMs }
  const { primaryUserId, armored, expiresMs } = verified.certificate
  if (primaryUserId === undefined) {
    return { ...unusable(keyId, `key ${keyId} has no valid user id`, certificate), announcedMs }
  }
  const contact: ContactRecord = {
    keyId,
    userId: primaryUserId,
    addresses: lowerCaseAddresses(verified.certificate),
    announcement: text,
    announcedMs,
    expiresMs,
  }
  return { kind: 'usable', contact, armored }
}

/** Readers differ in which of two equal headers counts, so an announcement with two says nothing (CM wire 3.3, 3.4). */
function repetitionOf(keyId: KeyId, { signed }: KeyAnnouncement): string | undefined {
  const repeated = repeatedHeader(signed.lines)
  return repeated && `the announcement of key ${keyId} is not valid (it says ${repeated} twice)`
}

function lowerCaseAddresses(certificate: Certificate): string[] {
  return [...new Set(certificateAddresses(certificate).map(lowerCaseAddress))]
}

function unusable(
  keyId: KeyId,
  reason: string,
  certificate: Certificate | undefined,
): Omit<Extract<AnnouncedKey, { readonly kind: 'unusable' }>, 'announcedMs'> {
  const revoked = certificate?.revoked === true ? { revokedCertificate: certificate.armored } : {}
  return {
    kind: 'unusable',
    unusable: { keyId, reason, ...revoked },
    addresses: certificate === undefined ? undefined : lowerCaseAddresses(certificate),
  }
}

/** Why a certificate cannot be encrypted to, and the cure; undefined when it can. */
function problemOf(keyId: KeyId, { canEncrypt, expiresMs }: Certificate): string | undefined {
  if (canEncrypt.kind === 'yes') return undefined
  switch (canEncrypt.reason) {
    case 'expired': {
      const day = expiresMs === undefined ? '' : ` on ${new Date(expiresMs).toISOString().slice(0, 10)}`
      return `key expired${day}; ask the owner to renew it (key ${keyId})`
    }
    case 'revoked':
      return `key was revoked by its owner; ask for the new one (key ${keyId})`
    case 'too-weak':
      return `key is too weak to be safe; ask the owner for a new one (key ${keyId})`
    case 'no-usable-key':
      return `key has nothing to encrypt to; ask the owner to add an encryption key (key ${keyId})`
  }
}

/**
 * The true reason: an announcement by an expired key is badly signed *because* the key is expired (case K05), and a key
 * that cannot be read says more than "certificate" (cases K03, K08, K13).
 */
function rejectionWords(
  keyId: KeyId,
  rejected: {
    readonly reason: string
    readonly certificate?: Certificate
    readonly certificateRefusal?: CertificateRefusal
  },
): string {
  const { certificate, certificateRefusal } = rejected
  const problem = certificate === undefined ? undefined : problemOf(keyId, certificate)
  if (problem !== undefined) return problem
  switch (certificateRefusal) {
    case undefined:
      return `the announcement of key ${keyId} is not valid (${rejected.reason})`
    case 'version-6':
      // The 40 digits it lies under are no fingerprint of it and are never shown (case K13).
      return CERTIFICATE_REFUSALS[certificateRefusal]
    case 'user-id-encoding':
      return `key ${keyId} has a name this program cannot check`
    default:
      return `key ${keyId} is not taken: ${CERTIFICATE_REFUSALS[certificateRefusal]}`
  }
}

import * as openpgp from 'openpgp'
import type { Certificate, CertificateResult, CertifiedId } from '../certificate.ts'
import { describeUserId, primaryUserId, usability } from '../certificate.ts'
import { readCertificatePackets } from '../certificate-packets.ts'
import {
  FULL_SETTINGS,
  fingerprintOf,
  OPENPGP_SETTINGS,
  SIGNATURE_CLOCK_TOLERANCE_MS,
  succeeds,
} from './settings.ts'

/**
 * Reads exactly one public certificate, armored or binary, and judges it as of `nowMs`. Size, packets, versions and
 * names are checked before openpgp.js parses anything (design 9, cases K03, K09, K13).
 */
export async function parseCertificate(
  input: string | Uint8Array,
  nowMs: number,
): Promise<CertificateResult> {
  const packets = readCertificatePackets(input)
  if (packets.kind === 'refused') return packets
  const reading = openpgp.readKeys({ binaryKeys: packets.bytes, config: OPENPGP_SETTINGS })
  const [key, second] = await reading.catch((): openpgp.Key[] => [])
  if (key === undefined || second !== undefined || key.isPrivate())
    return { kind: 'refused', reason: 'corrupt' }
  const asOfMs = Math.max(nowMs, Number(key.getCreationTime()))
  if (asOfMs > nowMs + SIGNATURE_CLOCK_TOLERANCE_MS) return { kind: 'refused', reason: 'not-yet-valid' }
  const ids = await certifiedIds(key, new Date(asOfMs))
  if (ids.length === 0) {
    return { kind: 'refused', reason: packets.isNameUnreadable ? 'user-id-encoding' : 'no-user-id' }
  }
  const certificate = await describeKey(key, ids, asOfMs)
  return { kind: 'ok', certificate: { ...certificate, hadAttributes: packets.hadAttributes } }
}

/** Bits of an RSA, DSA or ElGamal key below which it is shown with a warning. */
const LONG_ENOUGH_BITS = 2047

/** The user ids with a valid self-signature, whichever of several signatures is the newest valid one. */
async function certifiedIds(key: openpgp.Key, date: Date): Promise<CertifiedId[]> {
  const ids: CertifiedId[] = []
  for (const user of key.users) {
    const { userID } = user
    if (userID === null) continue
    const newestFirst = user.selfCertifications.toSorted((a, b) => Number(b.created) - Number(a.created))
    for (const signature of newestFirst) {
      const signed = { userID, key: key.keyPacket }
      const type = openpgp.enums.signature.certGeneric
      const check = signature.verify(key.keyPacket, type, signed, date, false, FULL_SETTINGS)
      if (!(await succeeds(check))) continue
      ids.push({
        text: userID.userID,
        revoked: await user.isRevoked(signature, undefined, date, FULL_SETTINGS),
        isPrimary: signature.isPrimaryUserID === true,
        certifiedMs: Number(signature.created),
        isSha1: signature.hashAlgorithm === openpgp.enums.hash.sha1,
      })
      break
    }
  }
  return ids
}

async function describeKey(
  key: openpgp.Key,
  ids: readonly CertifiedId[],
  nowMs: number,
): Promise<Omit<Certificate, 'hadAttributes'>> {
  const date = new Date(nowMs)
  const revoked = await key.isRevoked(undefined, undefined, date, FULL_SETTINGS)
  const expires = Number((await key.getExpirationTime(undefined, FULL_SETTINGS)) ?? Number.POSITIVE_INFINITY)
  const { algorithm, bits, curve } = key.getAlgorithmInfo()
  const isWeak = bits !== undefined && bits < OPENPGP_SETTINGS.minRSABits
  const state = { revoked, isExpired: expires <= nowMs, isWeak }
  const hasEncryptionKey = succeeds(key.getEncryptionKey(undefined, date, undefined, FULL_SETTINGS))
  const hasSigningKey = succeeds(key.getSigningKey(undefined, date, undefined, FULL_SETTINGS))
  return {
    keyId: fingerprintOf(key),
    userIds: ids.map(describeUserId),
    primaryUserId: primaryUserId(ids),
    createdMs: key.getCreationTime().getTime(),
    expiresMs: Number.isFinite(expires) ? expires : undefined,
    revoked,
    algorithm: `${algorithm} ${bits ?? curve ?? ''}`.trim(),
    canEncrypt: usability(state, await hasEncryptionKey),
    canSign: usability(state, await hasSigningKey),
    warnings: [
      ...(ids.every(({ isSha1 }) => isSha1) ? (['sha-1'] as const) : []),
      ...(bits !== undefined && bits < LONG_ENOUGH_BITS ? (['short-key'] as const) : []),
    ],
    armored: key.armor(FULL_SETTINGS),
  }
}

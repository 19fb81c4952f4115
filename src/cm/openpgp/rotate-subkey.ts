import * as openpgp from 'openpgp'
import { Secret } from '../../base/secret.ts'
import type { UnusableReason } from '../certificate.ts'
import type { SecretKey } from '../secret-key.ts'
import { parseCertificate } from './certificates.ts'
import { encryptionSubkeys } from './encryption-subkeys.ts'
import { FULL_SETTINGS, OPENPGP_SETTINGS, readOwnKey } from './settings.ts'

export type RotationResult =
  | { readonly kind: 'ok'; readonly secretKey: SecretKey; readonly newSubkey: string }
  /** No new subkey of the primary's kind can be made; `algorithm` for people. */
  | { readonly kind: 'unsupported'; readonly algorithm: string }
  /** The key itself has ended, so that a new subkey would be of no use. */
  | { readonly kind: 'unusable'; readonly reason: UnusableReason }
  /** The primary's secret part is not in our key: it was exported without it. */
  | { readonly kind: 'no-primary' }

/**
 * Changes the encryption subkey (CM message 10.5): every one in use is revoked as superseded and a new one without end
 * is made. Unlike the reference nothing is deleted: the secret key keeps all old subkeys, so that mail however old
 * still opens; what is announced leaves them out (`announcedCertificate`). Other uses of the key stay as they are.
 */
export async function rotateEncryptionSubkey(secretKey: SecretKey, nowMs: number): Promise<RotationResult> {
  const { canSign } = secretKey.certificate
  if (canSign.kind === 'no') return { kind: 'unusable', reason: canSign.reason }
  const key = await readOwnKey(secretKey)
  if (!(key.keyPacket instanceof openpgp.SecretKeyPacket) || isStub(key.keyPacket))
    return { kind: 'no-primary' }
  const options = subkeyOptions(key)
  if (options === undefined) return { kind: 'unsupported', algorithm: secretKey.certificate.algorithm }
  // A clock that was set back a little makes no subkey that is older than its primary key.
  const date = new Date(Math.max(nowMs, Number(key.getCreationTime())))
  for (const { subkey, revokedMs } of await encryptionSubkeys(key)) {
    if (revokedMs !== undefined) continue
    const reason = { flag: openpgp.enums.reasonForRevocation.keySuperseded }
    const revoked = await subkey.revoke(key.keyPacket, reason, date, FULL_SETTINGS)
    // Its other signatures are judged by the machine's clock, ours are not: only the new one is taken.
    subkey.revocationSignatures.push(...revoked.revocationSignatures.slice(0, 1))
  }
  const rotated = await key.addSubkey({ ...options, date, config: OPENPGP_SETTINGS })
  const read = await parseCertificate(rotated.toPublic().write(), nowMs)
  const newest = rotated.subkeys.at(-1)
  if (read.kind === 'refused' || newest === undefined) throw new Error('the rotated key cannot be read back')
  const encryptsTo = await rotated.getEncryptionKey(undefined, null, undefined, FULL_SETTINGS)
  if (encryptsTo.getFingerprint() !== newest.getFingerprint()) {
    throw new Error('the rotated key would not be encrypted to its new subkey')
  }
  const armored = new Secret(rotated.armor(FULL_SETTINGS))
  return {
    kind: 'ok',
    secretKey: { certificate: read.certificate, armored },
    newSubkey: newest.getFingerprint(),
  }
}

/** A placeholder GnuPG writes when it exports subkeys alone. */
function isStub(packet: openpgp.SecretKeyPacket | openpgp.SecretSubkeyPacket): boolean {
  return packet.isDummy()
}

/**
 * A subkey of the primary's own algorithm and size or curve, in the form GnuPG 2.2 reads. ElGamal, which a DSA key
 * needs, and the curves openpgp.js cannot use under Node (Brainpool, secp256k1) cannot be made.
 */
function subkeyOptions(key: openpgp.PrivateKey): openpgp.SubkeyOptions | undefined {
  const { algorithm, bits, curve } = key.getAlgorithmInfo()
  switch (algorithm) {
    case 'rsaEncryptSign':
    case 'rsaSign':
      return bits === undefined || bits < OPENPGP_SETTINGS.minRSABits
        ? undefined
        : { type: 'rsa', rsaBits: bits }
    case 'eddsaLegacy':
    case 'ed25519':
      return { type: 'ecc', curve: 'curve25519Legacy' }
    case 'ecdsa':
      return isUsableCurve(curve) ? { type: 'ecc', curve } : undefined
    default:
      return undefined
  }
}

function isUsableCurve(curve: string | undefined): curve is openpgp.EllipticCurveName {
  return USABLE_CURVES.some((name) => name === curve)
}

const USABLE_CURVES: readonly openpgp.EllipticCurveName[] = ['nistP256', 'nistP384', 'nistP521']

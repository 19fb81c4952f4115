import * as openpgp from 'openpgp'
import { duration } from '../../base/clock.ts'
import type { KeyId } from '../ids.ts'
import type { SecretKey } from '../secret-key.ts'

/**
 * The settings of `openpgp` and what every file of this folder, its only importer, shares. Keys and signatures are
 * hostile input; run these inside `cm/workers/` wherever the text came from the network.
 */

/**
 * Our settings (CM message 5.3 and 5.5, measurements 1): SEIPDv1 and v4 keys only, because recipients run GnuPG
 * 1.4 to 2.2; no salt notation, because the reference rejects a signature whose notation bytes it cannot decode;
 * every kind of key the reference's dialog offers is read (CM message 10.4), short RSA and DSA with a warning where
 * keys are shown; RSA below 1023 bits and SHA-1 message signatures stay refused. Hashes are named so that no update of the library changes what is taken
 * (docs/decisions/0009, case K07).
 */
export const OPENPGP_SETTINGS = {
  preferredHashAlgorithm: openpgp.enums.hash.sha512,
  preferredSymmetricAlgorithm: openpgp.enums.symmetric.aes256,
  preferredCompressionAlgorithm: openpgp.enums.compression.uncompressed,
  aeadProtect: false,
  v6Keys: false,
  enableParsingV5Entities: false,
  allowUnauthenticatedMessages: false,
  allowUnauthenticatedStream: false,
  allowInsecureDecryptionWithSigningKeys: false,
  minRSABits: 1023,
  rejectCurves: new Set<openpgp.enums.curve>(),
  rejectPublicKeyAlgorithms: new Set<openpgp.enums.publicKey>(),
  rejectHashAlgorithms: new Set([openpgp.enums.hash.md5, openpgp.enums.hash.ripemd]),
  rejectMessageHashAlgorithms: new Set([
    openpgp.enums.hash.md5,
    openpgp.enums.hash.ripemd,
    openpgp.enums.hash.sha1,
  ]),
  nonDeterministicSignaturesViaNotation: false,
  showVersion: false,
  showComment: false,
} satisfies openpgp.PartialConfig

/** The same where openpgp.js wants all settings. */
export const FULL_SETTINGS: openpgp.Config = { ...openpgp.config, ...OPENPGP_SETTINGS }

/** How far a sender's clock may be ahead of ours: openpgp.js has no tolerance of its own (design 8.5). */
export const SIGNATURE_CLOCK_TOLERANCE_MS = 15 * duration.minute

/** openpgp.js tells why it refuses only by its wording; whether it does is what we may go by. */
export function succeeds(check: Promise<unknown>): Promise<boolean> {
  return check.then(
    () => true,
    () => false,
  )
}

/** The fingerprint of the primary key, which is the key id on this network (CM wire 2). */
export function fingerprintOf(key: openpgp.Key): KeyId {
  return key.getFingerprint() as KeyId
}

/** Reads armor that was written by us, or judged by `parseCertificate`; throws on anything else. */
export function readCertificateText(armoredKey: string): Promise<openpgp.Key> {
  return openpgp.readKey({ armoredKey, config: OPENPGP_SETTINGS })
}

/** Reads one of our own secret keys afresh, so that it may be changed; `known-keys.ts` has shared ones. */
export function readOwnKey({ armored }: SecretKey): Promise<openpgp.PrivateKey> {
  return openpgp.readPrivateKey({ armoredKey: armored.reveal(), config: OPENPGP_SETTINGS })
}

/** Exactly one signature packet: several results are how the reference was deceived (CM message 14.1). */
export async function readOneSignature(
  signature: string | Uint8Array,
): Promise<openpgp.Signature | undefined> {
  const config = OPENPGP_SETTINGS
  try {
    const parsed = await (typeof signature === 'string'
      ? openpgp.readSignature({ armoredSignature: signature, config })
      : openpgp.readSignature({ binarySignature: signature, config }))
    return parsed.packets.length === 1 ? parsed : undefined
  } catch {
    // Hostile bytes; the parser's words are of no use to anyone.
    return undefined
  }
}

import * as openpgp from 'openpgp'

/**
 * The only importer of `openpgp`: its settings, and the few operations the rest of CM needs, in our own types.
 * Keys and signatures are hostile input; run these inside `cm/workers/` wherever the text came from the network.
 */

/**
 * Our settings (CM message 5.3 and 5.5, measurements 1): SEIPDv1 and v4 keys only, because recipients run GnuPG
 * 1.4 to 2.2; no salt notation, because the reference rejects a signature whose notation bytes it cannot decode;
 * DSA and ElGamal stay readable, as the network's oldest keys use them (CM wire 3.1); RSA below 2047 bits and
 * SHA-1 message signatures stay refused.
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
  minRSABits: 2047,
  rejectPublicKeyAlgorithms: new Set<openpgp.enums.publicKey>(),
  nonDeterministicSignaturesViaNotation: false,
  showVersion: false,
  showComment: false,
} satisfies openpgp.PartialConfig

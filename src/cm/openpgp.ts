import * as openpgp from 'openpgp'
import { Secret } from '../base/secret.ts'
import { userIdName } from './address.ts'
import { blockLines } from './block-text.ts'
import type { Certificate, CertificateResult, CertifiedId } from './certificate.ts'
import { describeUserId, MAX_CERTIFICATE_BYTES, primaryUserId, usability } from './certificate.ts'
import { readCertificatePackets } from './certificate-packets.ts'
import type { ClearSigned } from './clear-signed.ts'
import { encodeClearSigned, hashName, signedText } from './clear-signed.ts'
import type { KeyId } from './ids.ts'
import { type ByteStream, collectStream, drainStream } from './message/byte-stream.ts'
import type { DecryptedStream, EncryptionPlan } from './message/encryption-plan.ts'
import type { SecretKey, SecretKeyResult } from './secret-key.ts'
import type { BadSignatureReason, ClearSignatureVerdict, DetachedVerdict } from './signature-verdict.ts'

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

/** The same where openpgp.js wants all settings. */
const FULL_SETTINGS: openpgp.Config = { ...openpgp.config, ...OPENPGP_SETTINGS }

/* Keys and clear-signatures: what the announcements need. */

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
  return { kind: 'ok', certificate: await describeKey(key, ids, asOfMs) }
}

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
      })
      break
    }
  }
  return ids
}

/** openpgp.js tells why it refuses only by its wording; whether it does is what we may go by. */
function succeeds(check: Promise<unknown>): Promise<boolean> {
  return check.then(
    () => true,
    () => false,
  )
}

async function describeKey(
  key: openpgp.Key,
  ids: readonly CertifiedId[],
  nowMs: number,
): Promise<Certificate> {
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
    armored: key.armor(FULL_SETTINGS),
  }
}

/**
 * Verifies a clear-signature with the keys given. The signing key must be usable at `nowMs`; when the signature says
 * it was made does not matter, as for gpg (vectors: alice-ages, signature-time-differs).
 */
export async function verifyClearSigned(
  signed: ClearSigned,
  certificates: readonly Certificate[],
  nowMs: number,
): Promise<ClearSignatureVerdict> {
  const signature = await readOneSignature(signed.signature)
  const packet = signature?.packets[0]
  const issuer = signature?.getSigningKeyIDs()[0]
  if (signature === undefined || issuer === undefined) return { kind: 'bad' }
  if (packet?.signatureType !== openpgp.enums.signature.text) return { kind: 'bad' }
  const keys = await Promise.all(certificates.map((certificate) => readCertificateText(certificate.armored)))
  const signer = keys.find((key) => key.getKeys(issuer).length > 0)
  if (signer === undefined) return { kind: 'unknown-key' }
  try {
    const asOfMs = Math.max(nowMs, Number(signer.getCreationTime()))
    await signer.getSigningKey(issuer, new Date(asOfMs), undefined, FULL_SETTINGS)
    const { signatures } = await openpgp.verify({
      message: await openpgp.createMessage({ text: signedText(signed.lines) }),
      signature,
      verificationKeys: [signer],
      date: null,
      config: { ...OPENPGP_SETTINGS, allowInsecureVerificationWithReformattedKeys: true },
    })
    await signatures[0]?.verified
  } catch {
    // Expired, revoked or wrong: all of them are the sender's, and told apart by wording only.
    return { kind: 'bad' }
  }
  return { kind: 'good', keyId: fingerprintOf(signer), createdMs: Number(packet.created) }
}

/** Clear-signs a text whose last line ends with LF, byte for byte in gpg's form (CM wire 3.1). */
export async function clearsign(text: string, secretKey: SecretKey, dateMs: number): Promise<string> {
  const lines = blockLines(text)
  const armoredKey = secretKey.armored.reveal()
  const signed: unknown = await openpgp.sign({
    message: await openpgp.createMessage({ text: signedText(lines) }),
    signingKeys: await openpgp.readPrivateKey({ armoredKey, config: OPENPGP_SETTINGS }),
    detached: true,
    format: 'object',
    date: new Date(dateMs),
    config: OPENPGP_SETTINGS,
  })
  if (!(signed instanceof openpgp.Signature)) throw new TypeError('a detached signature was expected')
  const hash = hashName(signed.packets[0]?.hashAlgorithm)
  return encodeClearSigned(lines, hash, signed.armor(FULL_SETTINGS))
}

/** Makes a v4 key that GnuPG 2.2 can use: signing Ed25519 primary, Curve25519 encryption subkey (measurements 1c). */
export async function generateKey(options: {
  readonly name: string
  readonly address: string
  readonly nowMs: number
}): Promise<SecretKey> {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: userIdName(options.name), email: options.address }],
    type: 'ecc',
    curve: 'curve25519Legacy',
    date: new Date(options.nowMs),
    format: 'armored',
    config: OPENPGP_SETTINGS,
  })
  const made = await parseCertificate(publicKey, options.nowMs)
  if (made.kind === 'refused') throw new Error(`the new key is not usable: ${made.reason}`)
  return { certificate: made.certificate, armored: new Secret(privateKey) }
}

/** Reads and unlocks one armored secret key; the passphrase is not needed again. */
export async function readSecretKey(
  armored: string,
  options: { readonly nowMs: number; readonly passphrase?: Secret<string> | undefined },
): Promise<SecretKeyResult> {
  if (armored.length > MAX_CERTIFICATE_BYTES) return { kind: 'refused', reason: 'too-large' }
  const reading = openpgp.readPrivateKeys({ armoredKeys: armored, config: OPENPGP_SETTINGS })
  const keys = await reading.catch((): openpgp.PrivateKey[] => [])
  if (keys.length > 1) return { kind: 'refused', reason: 'several-certificates' }
  const locked = keys[0]
  if (locked === undefined) return { kind: 'refused', reason: 'not-a-key' }
  const passphrase = options.passphrase?.reveal() ?? ''
  const unlock = () => openpgp.decryptKey({ privateKey: locked, passphrase }).catch(() => undefined)
  const key = locked.isDecrypted() ? locked : await unlock()
  if (key === undefined) return { kind: 'locked' }
  const read = await parseCertificate(key.toPublic().write(), options.nowMs)
  if (read.kind === 'refused') return read
  const unlocked = new Secret(key.armor(FULL_SETTINGS))
  return { kind: 'ok', secretKey: { certificate: read.certificate, armored: unlocked } }
}

/* Streams: what `cm/message/crypto-files.ts` needs for whole messages. Nothing here holds more than a few chunks. */
/** How far a sender's clock may be ahead of ours: openpgp.js has no tolerance of its own (design 8.5). */
export const SIGNATURE_CLOCK_TOLERANCE_MS = 15 * 60 * 1000

/** Signs a stream; resolves with the binary signature, without notations. Bounded: `sign` alone would hold it twice. */
export async function signDetachedStream(
  content: ByteStream,
  secretKey: string,
  date: Date,
): Promise<Uint8Array> {
  const message = await openpgp.createMessage({ binary: content, date })
  const signingKeys = await openpgp.readPrivateKey({ armoredKey: secretKey, config: OPENPGP_SETTINGS })
  const signed: unknown = await openpgp.sign({
    message,
    signingKeys,
    detached: true,
    format: 'object',
    date,
    config: OPENPGP_SETTINGS,
  })
  if (!(signed instanceof openpgp.Signature)) throw new TypeError('a detached signature was expected')
  // The hash is fed by whoever reads the literal data; only then can the signature be written.
  await drainStream(message.getLiteralData() as ByteStream)
  const written = signed.write()
  return written instanceof Uint8Array ? written : collectStream(written as ByteStream)
}

/** The signature's issuers as 16 hex digits, so that their keys can be looked for; empty when it cannot be read. */
export async function signatureIssuers(signature: Uint8Array): Promise<readonly string[]> {
  const parsed = await readOneSignature(signature)
  return parsed === undefined ? [] : parsed.getSigningKeyIDs().map((id) => id.toHex())
}

/**
 * Verifies one binary signature (type 0x00) over a stream. Any other type is refused: openpgp.js hashes nothing at all
 * for a standalone one, so that it would fit every message. The signer is the primary key whoever of it signed.
 */
export async function verifyDetachedStream(
  content: () => ByteStream,
  signature: Uint8Array,
  context: { readonly certificates: readonly string[]; readonly nowMs: number },
): Promise<DetachedVerdict> {
  const parsed = await readOneSignature(signature)
  const packet = parsed?.packets[0]
  const issuer = parsed?.getSigningKeyIDs()[0]
  if (parsed === undefined || packet === undefined || issuer === undefined) return bad('signature-unreadable')
  if (packet.signatureType !== openpgp.enums.signature.binary) return bad('signature-type')
  const certificates = await Promise.all(context.certificates.map(readCertificateText))
  // Anybody can put another's signing subkey into a certificate of their own, so each that has it is tried.
  const candidates = certificates.filter((certificate) => certificate.getKeys(issuer).length > 0)
  if (candidates.length === 0) return { kind: 'unknown-key', issuer: issuer.toHex() }
  const createdMs = packet.created?.getTime() ?? 0
  const date = new Date(Math.max(context.nowMs, createdMs))
  const verdicts: DetachedVerdict[] = []
  for (const signer of candidates) {
    if (await signer.isRevoked(undefined, undefined, new Date(context.nowMs), FULL_SETTINGS)) {
      verdicts.push(bad('signer-key-revoked', signer))
    } else if (await isSignedBy(signer, { signature: parsed, content: content(), date })) {
      return judgeSigner(signer, createdMs, context.nowMs)
    }
  }
  return verdicts[0] ?? bad('signature-wrong', candidates[0])
}

async function isSignedBy(
  signer: openpgp.Key,
  given: { readonly signature: openpgp.Signature; readonly content: ByteStream; readonly date: Date },
): Promise<boolean> {
  const result = await openpgp.verify({
    message: await openpgp.createMessage({ binary: given.content }),
    signature: given.signature,
    verificationKeys: [signer],
    format: 'binary',
    date: given.date,
    // A key whose owner has since renewed its self-signature still signs its old mail, as for gpg.
    config: { ...OPENPGP_SETTINGS, allowInsecureVerificationWithReformattedKeys: true },
  })
  const verified = result.signatures[0]?.verified
  // It may reject while the data is still being read; that is an answer, not an unhandled rejection.
  const answer = verified !== undefined && succeeds(verified)
  await drainStream(result.data as ByteStream)
  return await answer
}

async function judgeSigner(key: openpgp.Key, createdMs: number, nowMs: number): Promise<DetachedVerdict> {
  const keyCreatedMs = key.getCreationTime().getTime()
  const notBeforeMs = Math.max(createdMs - SIGNATURE_CLOCK_TOLERANCE_MS, keyCreatedMs)
  if (notBeforeMs > nowMs) return { kind: 'future', signer: fingerprintOf(key), notBeforeMs }
  const expires = await key.getExpirationTime(undefined, FULL_SETTINGS)
  if (expires === null || Number(expires) <= nowMs) return bad('signer-key-expired', key)
  return { kind: 'good', signer: fingerprintOf(key), createdMs }
}

function bad(reason: BadSignatureReason, key?: openpgp.Key): DetachedVerdict {
  return { kind: 'bad', signer: key === undefined ? undefined : fingerprintOf(key), reason }
}

function fingerprintOf(key: openpgp.Key): KeyId {
  return key.getFingerprint() as KeyId
}

function readCertificateText(armoredKey: string): Promise<openpgp.Key> {
  return openpgp.readKey({ armoredKey, config: OPENPGP_SETTINGS })
}

/** Exactly one signature packet: several results are how the reference was deceived (CM message 14.1). */
async function readOneSignature(signature: string | Uint8Array): Promise<openpgp.Signature | undefined> {
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

/** A binary message: PKESKv3 for each recipient, SEIPDv1, one literal, no compression (CM message 5.3). */
export async function encryptStream(content: ByteStream, plan: EncryptionPlan): Promise<ByteStream> {
  const message = await openpgp.createMessage({ binary: content, date: plan.date })
  const encrypted = await openpgp.encrypt({
    message,
    encryptionKeys: await Promise.all(plan.certificates.map(readCertificateText)),
    sessionKey: { data: plan.sessionKey, algorithm: 'aes256' },
    format: 'binary',
    date: plan.date,
    config: OPENPGP_SETTINGS,
  })
  return encrypted as ByteStream
}

/**
 * Starts to decrypt. The content is NOT authenticated before the stream has ended without an error, so only a helper
 * that spools it and forgets it on an error may use this; a message without MDC fails (CM message 5.3).
 */
export async function decryptUnauthenticatedStream(
  ciphertext: ByteStream,
  secretKeys: readonly string[],
  maxBytes: number,
): Promise<DecryptedStream> {
  const decryptionKeys = await Promise.all(
    secretKeys.map((armoredKey) => openpgp.readPrivateKey({ armoredKey, config: OPENPGP_SETTINGS })),
  )
  const config = {
    ...OPENPGP_SETTINGS,
    allowUnauthenticatedStream: true,
    maxDecompressedMessageSize: maxBytes + PACKET_OVERHEAD_BYTES,
  }
  const message = await openpgp.readMessage({ binaryMessage: ciphertext, config }).catch(() => undefined)
  if (message === undefined) return { kind: 'failed', reason: 'not-openpgp' }
  const recipients = message.getEncryptionKeyIDs()
  if (recipients.length === 0) return { kind: 'failed', reason: 'not-openpgp' }
  const isOurs = recipients.some(
    (id) => id.toHex() === HIDDEN_KEY_ID || decryptionKeys.some((key) => key.getKeys(id).length > 0),
  )
  if (!isOurs) return { kind: 'failed', reason: 'not-for-us' }
  try {
    const { data } = await openpgp.decrypt({ message, decryptionKeys, format: 'binary', config })
    return { kind: 'decrypting', content: data as ByteStream }
  } catch {
    // Every cause is the ciphertext's or the sender's; openpgp.js tells them apart by its wording only.
    return { kind: 'failed', reason: 'undecryptable' }
  }
}

/** Stands for a recipient who is not named (RFC 9580 5.1.1). */
const HIDDEN_KEY_ID = '0000000000000000'
/** What the literal packet adds to its content: header and partial lengths. */
const PACKET_OVERHEAD_BYTES = 1024 * 1024

import * as openpgp from 'openpgp'
import { duration } from '../../base/clock.ts'
import { type ByteStream, collectStream, drainStream } from '../message/byte-stream.ts'
import type { BadSignatureReason, DetachedVerdict } from '../signature-verdict.ts'
import { knownCertificate, knownSecretKey } from './known-keys.ts'
import {
  FULL_SETTINGS,
  fingerprintOf,
  OPENPGP_SETTINGS,
  readOneSignature,
  SIGNATURE_CLOCK_TOLERANCE_MS,
  succeeds,
} from './settings.ts'

/** Milliseconds mail can be under way: posted for three days, ten at a server, one to be fetched (case K05). */
const LATEST_MAIL_MS = 14 * duration.day

/* Streams: nothing here holds more than a few chunks of a message. */

/**
 * Signs a stream, or octets in memory; resolves with the binary signature, without notations. Bounded: `sign` alone would
 * hold a stream twice.
 */
export async function signDetached(
  content: ByteStream | Uint8Array,
  secretKey: string,
  date: Date,
): Promise<Uint8Array> {
  const message = await openpgp.createMessage({ binary: content as ByteStream, date })
  const signingKeys = await knownSecretKey(secretKey)
  const signed: unknown = await openpgp.sign({
    message,
    signingKeys,
    detached: true,
    format: 'object',
    date,
    config: OPENPGP_SETTINGS,
  })
  if (!(signed instanceof openpgp.Signature)) throw new TypeError('a detached signature was expected')
  // The hash of a stream is fed by whoever reads the literal data; only then can the signature be written.
  if (!(content instanceof Uint8Array)) await drainStream(message.getLiteralData() as ByteStream)
  const written = signed.write()
  return written instanceof Uint8Array ? written : collectStream(written as ByteStream)
}

/** The signature's issuers as 16 hex digits, so that their keys can be looked for; empty when it cannot be read. */
export async function signatureIssuers(signature: Uint8Array): Promise<readonly string[]> {
  const parsed = await readOneSignature(signature)
  // A signature without an issuer subpacket names nobody, whatever the declared type says.
  const ids: readonly (openpgp.KeyID | undefined)[] = parsed?.getSigningKeyIDs() ?? []
  return ids.filter((id) => id !== undefined).map((id) => id.toHex())
}

/**
 * Verifies one binary signature (type 0x00) over a stream, or over octets in memory. Any other type is refused: openpgp.js hashes nothing at all
 * for a standalone one, so that it would fit every message. The signer is the primary key whoever of it signed.
 */
export async function verifyDetached(
  content: () => ByteStream | Uint8Array,
  signature: Uint8Array,
  context: { readonly certificates: readonly string[]; readonly nowMs: number },
): Promise<DetachedVerdict> {
  const parsed = await readOneSignature(signature)
  const packet = parsed?.packets[0]
  const issuer = parsed?.getSigningKeyIDs()[0]
  if (parsed === undefined || packet === undefined || issuer === undefined) return bad('signature-unreadable')
  if (packet.signatureType !== openpgp.enums.signature.binary) return bad('signature-type')
  const certificates = await Promise.all(context.certificates.map(knownCertificate))
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
  given: {
    readonly signature: openpgp.Signature
    readonly content: ByteStream | Uint8Array
    readonly date: Date
  },
): Promise<boolean> {
  const result = await openpgp.verify({
    message: await openpgp.createMessage({ binary: given.content as ByteStream }),
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
  if (!(given.content instanceof Uint8Array)) await drainStream(result.data as ByteStream)
  return await answer
}

async function judgeSigner(key: openpgp.Key, createdMs: number, nowMs: number): Promise<DetachedVerdict> {
  const keyCreatedMs = key.getCreationTime().getTime()
  const notBeforeMs = Math.max(createdMs - SIGNATURE_CLOCK_TOLERANCE_MS, keyCreatedMs)
  if (notBeforeMs > nowMs) return { kind: 'future', signer: fingerprintOf(key), notBeforeMs }
  const expires = await key.getExpirationTime(undefined, FULL_SETTINGS)
  if (expires === null || !isInTime(Number(expires), createdMs, nowMs)) return bad('signer-key-expired', key)
  return { kind: 'good', signer: fingerprintOf(key), createdMs }
}

/** Mail that was signed while the key was valid stays good when it is read late, but not when it cannot be late mail. */
function isInTime(expiresMs: number, createdMs: number, nowMs: number): boolean {
  return expiresMs > nowMs || (createdMs < expiresMs && expiresMs > nowMs - LATEST_MAIL_MS)
}

function bad(reason: BadSignatureReason, key?: openpgp.Key): DetachedVerdict {
  return { kind: 'bad', signer: key === undefined ? undefined : fingerprintOf(key), reason }
}

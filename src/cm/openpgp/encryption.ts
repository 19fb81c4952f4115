import * as openpgp from 'openpgp'
import type { ByteStream } from '../message/byte-stream.ts'
import type { DecryptedStream, EncryptionPlan } from '../message/encryption-plan.ts'
import { knownCertificate, knownSecretKey } from './known-keys.ts'
import { OPENPGP_SETTINGS } from './settings.ts'

/** A binary message: PKESKv3 for each recipient, SEIPDv1, one literal, no compression (CM message 5.3). */
export async function encryptStream(content: ByteStream, plan: EncryptionPlan): Promise<ByteStream> {
  return (await encrypt(content, plan)) as ByteStream
}

/** The same of octets in memory. */
export async function encryptWhole(content: Uint8Array, plan: EncryptionPlan): Promise<Uint8Array> {
  return (await encrypt(content, plan)) as Uint8Array
}

async function encrypt(content: ByteStream | Uint8Array, plan: EncryptionPlan): Promise<unknown> {
  const message = await openpgp.createMessage({ binary: content as ByteStream, date: plan.date })
  return openpgp.encrypt({
    message,
    encryptionKeys: await Promise.all(plan.certificates.map(knownCertificate)),
    sessionKey: { data: plan.sessionKey, algorithm: 'aes256' },
    format: 'binary',
    date: plan.date,
    config: OPENPGP_SETTINGS,
  })
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
  const decryptionKeys = await Promise.all(secretKeys.map(knownSecretKey))
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

/** The whole content of a small message, authenticated; undefined when that cannot be had. */
export async function decryptWhole(
  binaryMessage: Uint8Array,
  { secretKeys, maxBytes }: { readonly secretKeys: readonly string[]; readonly maxBytes: number },
): Promise<Uint8Array | undefined> {
  const decryptionKeys = await Promise.all(secretKeys.map(knownSecretKey))
  const config = { ...OPENPGP_SETTINGS, maxDecompressedMessageSize: maxBytes + PACKET_OVERHEAD_BYTES }
  try {
    const message = await openpgp.readMessage({ binaryMessage: new Uint8Array(binaryMessage), config })
    const { data } = await openpgp.decrypt({ message, decryptionKeys, format: 'binary', config })
    return data
  } catch {
    // Every cause is the ciphertext's or the sender's.
    return undefined
  }
}

/** Stands for a recipient who is not named (RFC 9580 5.1.1). */
const HIDDEN_KEY_ID = '0000000000000000'
/** What the literal packet adds to its content: header and partial lengths. */
const PACKET_OVERHEAD_BYTES = 1024 * 1024

import { type AcknowledgmentId, acknowledgmentId, type KeyId } from '../ids.ts'
import { parseUtcTime } from '../utc-time.ts'

/** What `ACK_<KEYID>.BIN` and `.PGP` hold: the secret that proves receipt, perhaps a bypass token (CM message 4.3). */

/** Octets of an acknowledgment secret; any value serves (CM message 4.1). */
export const ACKNOWLEDGMENT_SECRET_BYTES = 20
/** Octets of a decrypted ACK file we read: one secret and one token take 150, unknown parts may follow. */
export const MAX_ACK_BYTES = 4096
/** Octets of an encrypted ACK file: RSA-4096 for one recipient takes about 700. */
export const MAX_ACK_FILE_BYTES = 16 * 1024

/** A token that lets its holder mail the issuer without the full proof of work (CM message 4.4). */
export interface BypassGrant {
  /** 40 hex, lower case; one to be sent may be in upper case, for clients that keep only those (CM message 4.4). */
  readonly secret: string
  /** CM date as the issuer wrote it; the reference stamps local time with a Z, so compare loosely. */
  readonly created: string
  /** CM date, or `never`. */
  readonly expires: string
}

export interface AckContent {
  /** 20 octets. */
  readonly acknowledgmentSecret: Uint8Array | undefined
  readonly bypassGrant: BypassGrant | undefined
}

/** Upper-case key id: readers compare it with case (CM message 1.5). */
export function ackEntryName(keyId: KeyId, form: 'BIN' | 'PGP'): string {
  return `ACK_${keyId.toUpperCase()}.${form}`
}

/** Form A and B are the raw secret, form C is text with the token (CM message 4.3). */
export function encodeAckContent(secret: Uint8Array, grant: BypassGrant | undefined): Buffer {
  if (grant === undefined) return Buffer.from(secret)
  const hex = Buffer.from(secret).toString('hex')
  return Buffer.from(`ack=${hex}|bt=${grant.secret},${grant.created},${grant.expires}`, 'latin1')
}

const ACK_PART = /^ack=([0-9a-f]{40})$/i
const TOKEN_PART = /^bt=([0-9a-f]{40}),([^,]{20}),(.+)$/i

/** `.BIN`: exactly a secret. The reference posts any length; a wrong one acknowledges nothing. */
export function parseRawAck(bytes: Uint8Array): AckContent {
  const isSecret = bytes.length === ACKNOWLEDGMENT_SECRET_BYTES
  return { acknowledgmentSecret: isSecret ? Buffer.from(bytes) : undefined, bypassGrant: undefined }
}

/** A decrypted `.PGP`: 20 octets are the secret, more are parts between `|`, of which unknown ones are skipped. */
export function parseEncryptedAck(bytes: Uint8Array): AckContent {
  if (bytes.length <= ACKNOWLEDGMENT_SECRET_BYTES) return parseRawAck(bytes)
  let acknowledgmentSecret: Buffer | undefined
  let bypassGrant: BypassGrant | undefined
  for (const part of Buffer.from(bytes).toString('latin1').split('|')) {
    const hex = ACK_PART.exec(part)?.[1]
    if (hex !== undefined) acknowledgmentSecret = Buffer.from(hex, 'hex')
    bypassGrant = parseGrant(part) ?? bypassGrant
  }
  return { acknowledgmentSecret, bypassGrant }
}

function parseGrant(part: string): BypassGrant | undefined {
  const [, secret, created, expires] = TOKEN_PART.exec(part) ?? []
  if (secret === undefined || created === undefined || expires === undefined) return undefined
  if (parseUtcTime(created) === undefined) return undefined
  if (expires !== 'never' && parseUtcTime(expires) === undefined) return undefined
  return { secret: secret.toLowerCase(), created: created.toUpperCase(), expires: normalExpiry(expires) }
}

function normalExpiry(expires: string): string {
  return expires === 'never' ? expires : expires.toUpperCase()
}

/** The public id behind a content's secret. */
export function ackIdOf(content: AckContent): AcknowledgmentId | undefined {
  return content.acknowledgmentSecret === undefined
    ? undefined
    : acknowledgmentId(content.acknowledgmentSecret)
}

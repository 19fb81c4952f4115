import { hash } from 'node:crypto'
import type { Brand } from '../base/brand.ts'

/**
 * CM's identifiers, all 20 bytes, held as 40 lower-case hex digits. Each has its own brand, so that a mailbox
 * hash cannot be passed where a key id is wanted (CM wire 1.1, 1.2).
 */

/** OpenPGP v4 fingerprint of a primary key. */
export type KeyId = Brand<string, 'KeyId'>
/** The key a block is stored under. */
export type BlockKey = Brand<string, 'BlockKey'>
/** SHA-1 of all payloads of a message in order. */
export type MessageHash = Brand<string, 'MessageHash'>
/** SHA-1 of the concatenated binary data block keys: the message id of CM wire 8.6 (not the MessageHash). */
export type AnnouncementId = Brand<string, 'AnnouncementId'>
/** Public: SHA-1 of an acknowledgment secret. */
export type AcknowledgmentId = Brand<string, 'AcknowledgmentId'>

const HEX_ID = /^[0-9a-fA-F]{40}$/

function parseHexId<Id extends string>(text: string): Id | undefined {
  return HEX_ID.test(text) ? (text.toLowerCase() as Id) : undefined
}

/** The key id in lower case, or undefined when the text is not 40 hex digits. */
export const parseKeyId = parseHexId<KeyId>
/** The block key in lower case, or undefined when the text is not 40 hex digits. */
export const parseBlockKey = parseHexId<BlockKey>
export const parseMessageHash = parseHexId<MessageHash>

/** The 20 bytes behind an id. */
export function idBytes(id: string): Buffer {
  return Buffer.from(id, 'hex')
}

/** Of the parts in order; of one part without a copy. */
function sha1Hex(first: string | Uint8Array, ...others: readonly (string | Uint8Array)[]): string {
  const whole =
    others.length === 0
      ? first
      : Buffer.concat([first, ...others].map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
  return hash('sha1', whole, 'hex')
}

/** CM wire 1.1: SHA1(mailbox prefix || 20-byte key id). */
export function mailboxHash(mailboxPrefix: string, keyId: KeyId): BlockKey {
  return sha1Hex(mailboxPrefix, idBytes(keyId)) as BlockKey
}

/** CM wire 1.1: SHA1 of the address bytes as given; callers lower-case first (`claimAddress`). */
export function addressHash(address: string): BlockKey {
  return sha1Hex(address) as BlockKey
}

/** CM wire 1.1: the key of a data block is the SHA-1 of its payload alone. */
export function dataBlockKey(payload: Uint8Array): BlockKey {
  return sha1Hex(payload) as BlockKey
}

/** CM wire 2.5: the public id of a 20-byte acknowledgment secret. */
export function acknowledgmentId(secret: Uint8Array): AcknowledgmentId {
  return sha1Hex(secret) as AcknowledgmentId
}

/** CM wire 8.6: SHA1 of the concatenated binary data block keys, in order. */
export function announcementId(dataBlocks: readonly BlockKey[]): AnnouncementId {
  return sha1Hex(Buffer.concat(dataBlocks.map(idBytes))) as AnnouncementId
}

/** CM wire 1.1: a key announcement lies under the fingerprint itself. */
export function keyAnnouncementKey(keyId: KeyId): BlockKey {
  return keyId as string as BlockKey
}

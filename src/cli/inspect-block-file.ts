import { parseAcknowledgment } from '../cm/acknowledgment.ts'
import { parseAddressClaims } from '../cm/address-claim.ts'
import { blockType, decodeBlockText } from '../cm/block-text.ts'
import { splitDataBlock } from '../cm/data-block.ts'
import {
  acknowledgmentId,
  addressHash,
  type BlockKey,
  dataBlockKey,
  idBytes,
  keyAnnouncementKey,
  mailboxHash,
  parseBlockKey,
} from '../cm/ids.ts'
import { parseKeyAnnouncement } from '../cm/key-announcement.ts'
import { parseMessageAnnouncements } from '../cm/message-announcement.ts'
import { parseCertificate } from '../cm/openpgp/certificates.ts'
import type { BlockType } from '../cm/server/port.ts'

/** A block as it lies in a file, taken apart. */
export interface BlockFile {
  readonly text: string
  /** Data blocks only. */
  readonly payload: Uint8Array | undefined
}

/** Splits off a data block's payload; text that is not UTF-8 keeps its bytes one by one and fits no signature. */
export function splitBlockFile(bytes: Uint8Array): BlockFile {
  const data = splitDataBlock(bytes)
  if (data !== undefined && blockType(data.headerText) === 'data') {
    return { text: data.headerText, payload: data.payload }
  }
  return { text: decodeBlockText(bytes) ?? Buffer.from(bytes).toString('latin1'), payload: undefined }
}

const NO_KEY = '0'.repeat(40) as BlockKey

/** The key the block itself says it belongs under; all zeros when it does not say. */
export async function ownBlockKey(block: BlockFile, nowMs: number): Promise<BlockKey> {
  const type = blockType(block.text)
  if (type === undefined) return NO_KEY
  return (await FINDERS[type](block, nowMs)) ?? NO_KEY
}

type FindKey = (block: BlockFile, nowMs: number) => Promise<BlockKey | undefined> | BlockKey | undefined

const FINDERS: Readonly<Record<BlockType, FindKey>> = {
  data: ({ payload }) => dataBlockKey(payload ?? new Uint8Array()),
  acknowledgment: ({ text }) => {
    const { secret } = parseAcknowledgment(text).acknowledgment
    return secret === undefined ? undefined : parseBlockKey(acknowledgmentId(idBytes(secret)))
  },
  'address-claim': ({ text }) => {
    for (const record of parseAddressClaims(text) ?? []) {
      if ('claim' in record && record.claim.address !== undefined) return addressHash(record.claim.address)
    }
    return undefined
  },
  'message-announcement': ({ text }) => {
    const parsed = parseMessageAnnouncements(text)
    const records = parsed.kind === 'ok' ? parsed.records : []
    for (const { announcement } of records) {
      if (announcement.recipient !== undefined) {
        return mailboxHash(announcement.mailboxPrefix, announcement.recipient)
      }
    }
    return undefined
  },
  'key-announcement': async ({ text }, nowMs) => {
    const parsed = parseKeyAnnouncement(text)
    if (parsed.kind !== 'ok') return undefined
    const read = await parseCertificate(parsed.announcement.keyBlock, nowMs)
    return read.kind === 'ok' ? keyAnnouncementKey(read.certificate.keyId) : undefined
  },
}

import { createHash } from 'node:crypto'
import {
  acknowledgmentId,
  type BlockKey,
  dataBlockKey,
  type KeyId,
  mailboxHash,
  parseMessageHash,
} from '../../src/cm/ids.ts'
import { announcementProofInput, encodeMessageAnnouncement } from '../../src/cm/message-announcement.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'

/** A valid block as a client sends it. */
export interface WireBlock {
  readonly key: BlockKey
  /** Lines with CRLF; to EndBlock or the payload's last octet. */
  readonly body: Buffer
}

/** A data block, with the work a server asks for. */
export function wireDataBlock(payload: Uint8Array, dateMs: number): WireBlock {
  const date = formatUtcTime(dateMs)
  const proof = solveProofOfWork({ bits: 8, matches: 2 }, Buffer.concat([Buffer.from(date), payload]))
  const header = `Type: data\r\nDate: ${date}\r\nVersion: 1\r\nProofOfWork: ${proof}\r\nData: ${payload.length}\r\n`
  return { key: dataBlockKey(payload), body: Buffer.concat([Buffer.from(header), payload]) }
}

export interface WireAnnouncement {
  readonly recipient: KeyId
  readonly mailboxPrefix?: string
  /** Makes the message another one. */
  readonly payload?: string
  readonly dateMs: number
  readonly serverNotify?: boolean
  /** Lines put in front, after the proof was made. */
  readonly extraLines?: readonly string[]
}

/** One record for a mailbox, with the work a server asks for. */
export function wireAnnouncement(options: WireAnnouncement): WireBlock {
  return textBlock(mailboxHash(options.mailboxPrefix ?? '0', options.recipient), wireRecord(options))
}

/** The record's lines alone, LF line ends, for blocks of several. */
export function wireRecord(options: WireAnnouncement): string {
  const {
    recipient,
    mailboxPrefix = '0',
    payload = 'a message',
    dateMs,
    serverNotify,
    extraLines = [],
  } = options
  const messageHash = parseMessageHash(createHash('sha1').update(payload).digest('hex'))
  if (messageHash === undefined) throw new Error('a hash is a hash')
  const record = {
    date: formatUtcTime(dateMs),
    recipient,
    mailboxPrefix,
    dataBlocks: [dataBlockKey(Buffer.from(payload))],
    messageHash,
    ...(serverNotify === undefined ? {} : { serverNotify }),
  }
  const proofOfWork = solveProofOfWork({ bits: 8, matches: 2 }, announcementProofInput(record))
  return [...extraLines, encodeMessageAnnouncement({ ...record, proofOfWork })].join('\n')
}

/** An acknowledgment of a 20-byte secret. */
export function wireAcknowledgment(secret: Uint8Array, dateMs: number): WireBlock {
  const date = formatUtcTime(dateMs)
  const proof = solveProofOfWork({ bits: 16, matches: 2 }, Buffer.concat([Buffer.from(date), secret]))
  const hash = Buffer.from(secret).toString('hex')
  const text = `Type: acknowledgment\nDate: ${date}\nVersion: 1\nProofOfWork: ${proof}\nHash: ${hash}\n`
  return textBlock(acknowledgmentId(secret) as string as BlockKey, text)
}

/** Any text as a block that ends with EndBlock. */
export function textBlock(key: BlockKey, text: string): WireBlock {
  return { key, body: Buffer.from(`${text.replaceAll('\n', '\r\n')}EndBlock\r\n`) }
}

/** The command with its block. */
export function upload({ key, body }: WireBlock, command = 'STORE SERVER', rest = ''): Buffer {
  return Buffer.concat([Buffer.from(`${command} ${key}${rest}\r\n`), body])
}

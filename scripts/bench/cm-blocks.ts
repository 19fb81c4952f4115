import { createHash } from 'node:crypto'
import { encodeAcknowledgment } from '../../src/cm/acknowledgment.ts'
import { encodeDataBlockHeader } from '../../src/cm/data-block.ts'
import {
  acknowledgmentId,
  type BlockKey,
  type KeyId,
  type MessageHash,
  mailboxHash,
} from '../../src/cm/ids.ts'
import { announcementProofInput, encodeMessageAnnouncement } from '../../src/cm/message-announcement.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'

/** Valid blocks as they go over the wire, made before a measurement starts. */

/** Octets of the data block of a small message. */
const SMALL_PAYLOAD_BYTES = 1500
/** Octets of the largest data block a server takes. */
export const LARGE_PAYLOAD_BYTES = 8 * 1024 * 1024

/** Bits of the proofs: what a server asks of each type (CM wire 2.2), so that making them costs little. */
const MAIL_DEMAND = { bits: 8, matches: 2 } as const
const ACKNOWLEDGMENT_DEMAND = { bits: 16, matches: 2 } as const

/** A STORE command with its block, ready to be sent. */
export interface StoreCommand {
  readonly key: BlockKey
  readonly bytes: Uint8Array
}

/** A data block with a payload of its own. */
export function dataCommand(name: string, payloadBytes = SMALL_PAYLOAD_BYTES): StoreCommand {
  const payload = Buffer.alloc(payloadBytes, `${name} `)
  const date = formatUtcTime(Date.now())
  const proofOfWork = solveProofOfWork(MAIL_DEMAND, Buffer.concat([Buffer.from(date), payload]))
  const header = encodeDataBlockHeader({ date, proofOfWork, payloadBytes })
  const key = sha1(payload) as BlockKey
  return { key, bytes: Buffer.concat([command(key, header), payload]) }
}

/** An announcement of one data block for the mailbox of `recipient`. */
export function announcementCommand(dataBlock: BlockKey, recipient: KeyId): StoreCommand {
  const record = {
    date: formatUtcTime(Date.now()),
    recipient,
    mailboxPrefix: '0',
    dataBlocks: [dataBlock],
    messageHash: dataBlock as string as MessageHash,
  }
  const proofOfWork = solveProofOfWork(MAIL_DEMAND, announcementProofInput(record))
  const key = mailboxHash('0', recipient)
  return { key, bytes: textCommand(key, encodeMessageAnnouncement({ ...record, proofOfWork })) }
}

/** An acknowledgment of 16 bits. */
export function acknowledgmentCommand(name: string): StoreCommand {
  const date = formatUtcTime(Date.now())
  const secret = createHash('sha1').update(name).digest()
  const proofOfWork = solveProofOfWork(ACKNOWLEDGMENT_DEMAND, Buffer.concat([Buffer.from(date), secret]))
  const key = acknowledgmentId(secret) as string as BlockKey
  return { key, bytes: textCommand(key, encodeAcknowledgment({ date, proofOfWork, secret })) }
}

/** A key id nobody has. */
export function recipientOf(name: string): KeyId {
  return sha1(Buffer.from(`recipient ${name}`)) as KeyId
}

function textCommand(key: BlockKey, text: string): Uint8Array {
  return Buffer.concat([command(key, text), Buffer.from('EndBlock\r\n')])
}

function command(key: BlockKey, text: string): Uint8Array {
  return Buffer.from(`STORE SERVER ${key}\r\n${text.replaceAll('\n', '\r\n')}`)
}

function sha1(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}

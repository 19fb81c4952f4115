import { MAX_DATA_BLOCKS, MAX_RECORDS } from './block-text.ts'
import {
  ANY_FORM,
  DATE_FORM,
  filledLines,
  HEX_ID_FORM,
  HeaderFields,
  PROOF_OF_WORK_FORM,
  WORD_FORM,
} from './header-fields.ts'
import type { AnnouncementId, BlockKey, KeyId, MessageHash } from './ids.ts'
import { announcementId, idBytes, parseBlockKey, parseKeyId, parseMessageHash } from './ids.ts'
import { RECORD_SEPARATORS } from './server/port.ts'

/** `message-announcement`: "these data blocks are a message for you" (CM wire 2.4). */

/** One record; a part that is missing or does not fit its grammar is undefined. */
export interface MessageAnnouncement {
  /** CM date text as received: it is part of the proof of work. */
  readonly date: string | undefined
  readonly recipient: KeyId | undefined
  /** Empty when the header is missing or empty, as the reference has it. */
  readonly mailboxPrefix: string
  readonly proofOfWork: string | undefined
  /** False only for the records that one user's devices send each other (CM wire 2.4). */
  readonly serverNotify: boolean
  /** 40 hex, lower case (CM wire 6). */
  readonly bypassToken: string | undefined
  readonly dataBlocks: readonly BlockKey[]
  readonly messageHash: MessageHash
}

export interface MessageAnnouncementRecord {
  readonly announcement: MessageAnnouncement
  /** The record as it may be stored: known headers only, LF line ends. */
  readonly text: string
}

const KNOWN_NAMES: ReadonlySet<string> = new Set([
  'type',
  'date',
  'version',
  'recipient',
  'mailbox',
  'proofofwork',
  'servernotify',
  'bypasstoken',
  'datablock',
  'messagehash',
])
const TYPE_LINE = 'Type: message-announcement'
const NEXT_MESSAGE = /^nextmessage$/i
const FALSE = /^\s*false\s*$/i

function hexIds<Id>(values: readonly string[], parse: (text: string) => Id | undefined): Id[] {
  return values.map(parse).filter((id) => id !== undefined)
}

function readRecord(fields: HeaderFields, messageHash: MessageHash): MessageAnnouncementRecord {
  const kept = fields.knownLines(KNOWN_NAMES)
  const typed = kept.some((line) => /^type: /i.test(line)) ? kept : [TYPE_LINE, ...kept]
  return {
    announcement: {
      date: fields.last('date', DATE_FORM),
      recipient: parseKeyId(fields.last('recipient', HEX_ID_FORM) ?? ''),
      mailboxPrefix: fields.last('mailbox', WORD_FORM) ?? '',
      proofOfWork: fields.last('proofofwork', PROOF_OF_WORK_FORM),
      serverNotify: fields.last('servernotify', FALSE) === undefined,
      bypassToken: fields.last('bypasstoken', HEX_ID_FORM)?.toLowerCase(),
      dataBlocks: hexIds(fields.all('datablock', HEX_ID_FORM), parseBlockKey),
      messageHash,
    },
    text: `${typed.join('\n')}\n`,
  }
}

/**
 * The records of a block. A part without MessageHash is no record: its lines run into the next part, as in the
 * reference (CM wire 2.4). `too-large`: more records or DataBlocks than MAX_RECORDS or MAX_DATA_BLOCKS.
 */
export function parseMessageAnnouncements(
  text: string,
):
  | { readonly kind: 'ok'; readonly records: readonly MessageAnnouncementRecord[] }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'malformed' } {
  const records: MessageAnnouncementRecord[] = []
  let part: string[] = []
  for (const line of [...filledLines(text), 'NextMessage']) {
    if (!NEXT_MESSAGE.test(line)) {
      part.push(line)
      continue
    }
    const fields = new HeaderFields(part)
    const messageHash = parseMessageHash(fields.last('messagehash', HEX_ID_FORM) ?? '')
    if (messageHash === undefined) continue
    if (fields.all('type', ANY_FORM).some((type) => type !== 'message-announcement'))
      return { kind: 'malformed' }
    const record = readRecord(fields, messageHash)
    if (record.announcement.dataBlocks.length > MAX_DATA_BLOCKS) return { kind: 'too-large' }
    if (records.push(record) > MAX_RECORDS) return { kind: 'too-large' }
    part = []
  }
  return { kind: 'ok', records }
}

/**
 * The records of a mailbox as a server gives it to its reader: a part that is no record, or has more DataBlocks than
 * MAX_DATA_BLOCKS, is passed over, so that one bad record hides no other (S5). As many as the reply has room for.
 */
export function* mailboxRecords(text: string): Generator<MessageAnnouncementRecord> {
  let part: string[] = []
  for (const line of [...filledLines(text), 'NextMessage']) {
    if (!NEXT_MESSAGE.test(line)) {
      part.push(line)
      continue
    }
    const record = soundRecord(part)
    if (record !== undefined) yield record
    part = []
  }
}

function soundRecord(part: readonly string[]): MessageAnnouncementRecord | undefined {
  const fields = new HeaderFields(part)
  const messageHash = parseMessageHash(fields.last('messagehash', HEX_ID_FORM) ?? '')
  const isOfType = fields.all('type', ANY_FORM).every((type) => type === 'message-announcement')
  if (messageHash === undefined || !isOfType) return undefined
  const record = readRecord(fields, messageHash)
  return record.announcement.dataBlocks.length > MAX_DATA_BLOCKS ? undefined : record
}

/**
 * The owner of the mailbox a stored block lies in: the recipient of its first record, which all its records share,
 * since each of them hashes to the same key (CM wire 1.1, S8). Read as it was judged: the last of several counts.
 */
export function mailboxOwner(storedText: string): KeyId | undefined {
  const end = storedText.indexOf('\nNextMessage\n')
  const first = new HeaderFields(filledLines(end < 0 ? storedText : storedText.slice(0, end)))
  return parseKeyId(first.last('recipient', HEX_ID_FORM) ?? '')
}

/** Joins record texts into one block (CM wire 2.4). */
export function joinMessageAnnouncements(records: readonly string[]): string {
  return records.join(RECORD_SEPARATORS['message-announcement'])
}

/** What the proof of work and the bypass token are made over: recipient || MessageHash || Date || data blocks (CM wire 2.4). */
export function announcementProofInput(
  announcement: Pick<MessageAnnouncement, 'date' | 'recipient' | 'messageHash' | 'dataBlocks'>,
): Buffer {
  return Buffer.concat([
    idBytes(announcement.recipient ?? ''),
    idBytes(announcement.messageHash),
    Buffer.from(announcement.date ?? '', 'latin1'),
    ...announcement.dataBlocks.map(idBytes),
  ])
}

/** The id under which a client remembers the message: over the data blocks, not the payload (CM wire 8.6). */
export function messageIdOf(announcement: Pick<MessageAnnouncement, 'dataBlocks'>): AnnouncementId {
  return announcementId(announcement.dataBlocks)
}

/** A record to be posted: all parts there. */
export interface NewMessageAnnouncement {
  readonly date: string
  readonly recipient: KeyId
  readonly mailboxPrefix: string
  readonly proofOfWork: string
  readonly serverNotify?: boolean
  readonly bypassToken?: string | undefined
  readonly dataBlocks: readonly BlockKey[]
  readonly messageHash: MessageHash
}

/** The record's text in the reference's order, LF line ends (CM wire 2.4). */
export function encodeMessageAnnouncement(announcement: NewMessageAnnouncement): string {
  const lines = [
    TYPE_LINE,
    `Date: ${announcement.date}`,
    'Version: 1',
    `Recipient: ${announcement.recipient}`,
    `Mailbox: ${announcement.mailboxPrefix}`,
    `ProofOfWork: ${announcement.proofOfWork}`,
  ]
  if (announcement.serverNotify === false) lines.push('ServerNotify: False')
  if (announcement.bypassToken !== undefined) lines.push(`BypassToken: ${announcement.bypassToken}`)
  lines.push(...announcement.dataBlocks.map((block) => `DataBlock: ${block}`))
  lines.push(`MessageHash: ${announcement.messageHash}`)
  return `${lines.join('\n')}\n`
}

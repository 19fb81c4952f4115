import type { AcknowledgmentId, KeyId } from '../ids.ts'
import { formatUtcTime } from '../utc-time.ts'
import { type MessageHeader, parseHeaderTxt, type RecipientType } from './header-txt.ts'

/** Writing HEADER.TXT exactly as CM message 2.2 orders it, and the check of our own output (CM message 2.4, trap 31). */

interface HeaderSender {
  readonly keyId: KeyId
  /** The user id shown; cleaned here. */
  readonly text: string
  readonly transport: string
}

interface HeaderTarget {
  readonly type: RecipientType
  readonly keyId: KeyId
  readonly text: string
  readonly transport: string
  /** Absent for a line that is display only: the party gets a copy of its own or none (CM message, trap 2). */
  readonly acknowledgmentId?: AcknowledgmentId
}

export interface HeaderFields {
  readonly sender: HeaderSender
  readonly targets: readonly HeaderTarget[]
  readonly messageUniqueId: string
  readonly forwardedMessageId?: string | undefined
  readonly replyThreadId?: string | undefined
  readonly subject: string
  readonly dateMs: number
}

// C0, DEL and C1 (so NEL too), and the two Unicode separators: each ends a line for some reader (CM message 2.5).
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g

/** One line of well-formed text: every run of controls or line separators becomes one space (CM message 2.5). */
function singleLine(text: string): string {
  return text.toWellFormed().replace(CONTROLS, ' ')
}

/** Octets, UTF-8, LF lines, last line terminated; parties in the order given (CM message 2.2). */
export function encodeHeaderTxt(fields: HeaderFields): Buffer {
  const { sender } = fields
  const written = new Set<KeyId>()
  const lines = [`From: ${partyText(sender)}`]
  for (const target of fields.targets) {
    lines.push(`${LABEL[target.type]}: ${partyText(target)}`)
    if (!written.has(target.keyId)) lines.push(keyTransportLine(target.keyId, target.transport.toLowerCase()))
    if (target.acknowledgmentId !== undefined) lines.push(`Ack-${target.keyId}: ${target.acknowledgmentId}`)
    written.add(target.keyId)
  }
  lines.push(`MessageUniqueId: ${fields.messageUniqueId}`)
  if (fields.forwardedMessageId !== undefined) lines.push(`ForwardedMessageId: ${fields.forwardedMessageId}`)
  if (fields.replyThreadId !== undefined) lines.push(`ReplyThreadId: ${fields.replyThreadId}`)
  lines.push(`Subject: ${singleLine(fields.subject)}`, `Date: ${formatUtcTime(fields.dateMs)}`)
  if (!written.has(sender.keyId)) lines.push(keyTransportLine(sender.keyId, sender.transport))
  return Buffer.from(`${lines.join('\n')}\n`, 'utf8')
}

const LABEL: Readonly<Record<RecipientType, string>> = { to: 'To', cc: 'Cc', bcc: 'Bcc' }

/** A bare key id crashes the reference's viewer (CM message 2.3), so an empty text becomes the key id itself. */
function partyText(party: { readonly keyId: KeyId; readonly text: string }): string {
  const text = singleLine(party.text).trim()
  return `${text === '' ? party.keyId : text} ${party.keyId}`
}

function keyTransportLine(keyId: KeyId, transport: string): string {
  return `KeyTransport-${keyId}: ${singleLine(transport).trim()}`
}

const FROM_FOR_AGENT = /^From: .+ [0-9a-f]{40}$/s
const CONTROL = /[\u0000-\u001f\u0085\u2028\u2029]/
const PARTY_LINE = /^(?:To|Cc|Bcc): .+ [0-9a-f]{40}$/s
// 32-bit time conversions on old platforms (CM message 2.3).
const EARLIEST_DATE_MS = 0
const LATEST_DATE_MS = Date.UTC(2038, 0, 1) - 1

/**
 * What a reader as strict as CM message 2.4 would hold against this header; empty when all of them can show it, answer
 * it and acknowledge it. Reads the bytes anew, so that a mistake of the writer is found.
 */
export function headerObjections(bytes: Uint8Array): readonly string[] {
  const parsed = parseHeaderTxt(bytes)
  if (parsed.kind === 'unreadable') return [parsed.reason]
  return [...parsed.warnings, ...lineObjections(bytes), ...fieldObjections(parsed.header)]
}

function lineObjections(bytes: Uint8Array): string[] {
  const lines = Buffer.from(bytes).toString('utf8').split('\n')
  const objections: string[] = []
  if (lines.pop() !== '') objections.push('last line not terminated')
  if (!FROM_FOR_AGENT.test(lines[0] ?? '')) objections.push('first line is not a From with text and key id')
  if (lines.some((line) => CONTROL.test(line))) objections.push('control in a line')
  if (lines.some((line) => /^(?:To|Cc|Bcc):/.test(line) && !PARTY_LINE.test(line))) {
    objections.push('a recipient without text')
  }
  return objections
}

function fieldObjections(header: MessageHeader): string[] {
  const objections: string[] = []
  if (!header.keyTransports.has(header.from.keyId)) objections.push('no KeyTransport of the sender')
  if (header.recipients.some((recipient) => !header.keyTransports.has(recipient.keyId))) {
    objections.push('a recipient without KeyTransport')
  }
  if (header.recipients.length === 0) objections.push('no recipient')
  if (header.messageUniqueId === undefined) objections.push('no MessageUniqueId')
  const dateMs = header.date?.ms ?? Number.NaN
  if (!(dateMs >= EARLIEST_DATE_MS && dateMs <= LATEST_DATE_MS)) objections.push('date outside 1970 to 2037')
  return objections
}

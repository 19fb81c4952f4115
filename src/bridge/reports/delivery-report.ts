import { formatMailDate } from '../../mail/date.ts'
import { encodeTextField } from '../../mail/encode-field.ts'
import { decodeHeaderText, singleLine } from '../../mail/encoded-words.ts'
import { firstValue, splitHeader } from '../../mail/header.ts'
import { parseMessageIds } from '../../mail/message-id.ts'
import { asciiAddress } from '../render/display-name.ts'
import { encodeText } from '../render/encode-text.ts'
import { shownAddress } from '../shown-address.ts'
import { type BridgeMail, bridgeMailHeader, plainTextEntity, timeForPeople } from './report-mail.ts'

/** Delivery status notifications (RFC 3464) about the account's own messages, for its INBOX (design 7.9, 7.10). */

/** `not-confirmed`: posted, but no acknowledgment came in ten days (design 4). */
export type ReportKind = 'failed' | 'delayed' | 'delivered' | 'not-confirmed'

export interface ReportedRecipient {
  /** As it was given in RCPT TO. */
  readonly address: string
  /** ORCPT with its type and `;`, xtext decoded (RFC 3461 4.2). */
  readonly originalRecipient: string | null
  /** `5.1.1`; of the class that fits the kind. */
  readonly enhancedStatusCode: string
  /** Plain words for people, one sentence or two. */
  readonly reason: string
  readonly lastAttemptMs: number | null
}

interface ReportedMessage {
  /** The header of the message as it was submitted, with its closing empty line. */
  readonly header: Uint8Array
  /** The whole message, for RET=FULL; null otherwise or when longer than MAX_RETURNED_BYTES. */
  readonly content: Uint8Array | null
  readonly acceptedMs: number
  /** ENVID, xtext decoded (RFC 3461 4.4). */
  readonly envelopeId: string | null
}

export interface DeliveryReport extends BridgeMail {
  readonly kind: ReportKind
  readonly message: ReportedMessage
  readonly recipients: readonly ReportedRecipient[]
  /** When delivery is given up; only of use for `delayed`. */
  readonly givesUpMs: number | null
}

/** Octets of a message that RET=FULL brings back whole; of a larger one the header is returned (RFC 3461 4.3). */
export const MAX_RETURNED_BYTES = 1024 * 1024
/** Octets of a header that are returned. */
const MAX_RETURNED_HEADER_BYTES = 256 * 1024

const ACTIONS: Readonly<Record<ReportKind, string>> = {
  failed: 'failed',
  delayed: 'delayed',
  delivered: 'delivered',
  'not-confirmed': 'failed',
}

const SUBJECTS: Readonly<Record<ReportKind, string>> = {
  failed: 'Not delivered',
  delayed: 'Not delivered yet',
  delivered: 'Delivered',
  'not-confirmed': 'Delivery not confirmed',
}

/** The whole report; pure, so the same report gives the same octets. */
export function encodeDeliveryReport(report: DeliveryReport): Uint8Array {
  const { message } = report
  const fields = splitHeader(message.header)
  const subject = decodeHeaderText(firstValue(fields, 'Subject') ?? '')
  const boundary = `=_cmb_report_${report.id.replace(/[^0-9A-Za-z]/g, '')}`
  const head = [
    bridgeMailHeader(report, `${SUBJECTS[report.kind]}: ${subject === '' ? '(no subject)' : subject}`),
    threadFields(firstValue(fields, 'Message-ID')),
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"\r\n\r\n`,
    `--${boundary}\r\n`,
    plainTextEntity(humanText(report, subject)),
    `\r\n--${boundary}\r\nContent-Type: message/delivery-status\r\n\r\n`,
    deliveryStatus(report),
    `\r\n--${boundary}\r\n`,
  ].join('')
  return Buffer.concat([
    Buffer.from(head, 'latin1'),
    returnedMessage(message),
    Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1'),
  ])
}

/** The report belongs to the thread of the message it is about. */
function threadFields(messageId: string | undefined): string {
  const id = parseMessageIds(messageId ?? '').find((each) => /^[!-~]+$/.test(each))
  return id === undefined ? '' : `In-Reply-To: ${id}\r\nReferences: ${id}\r\n`
}

function humanText(report: DeliveryReport, subject: string): string {
  const recipients = report.recipients.map(
    (recipient) =>
      `${singleLine(shownAddress(recipient.address))}\n${singleLine(recipient.reason)} (${recipient.enhancedStatusCode})`,
  )
  return [
    opening(report),
    `Subject: ${subject === '' ? '(none)' : subject}`,
    `Accepted: ${timeForPeople(report.message.acceptedMs)}`,
    '',
    recipients.join('\n\n'),
    '',
    closing(report),
    '',
  ].join('\n')
}

function opening({ kind }: DeliveryReport): string {
  switch (kind) {
    case 'failed':
      return 'Your message could not be delivered to the recipients below.\n'
    case 'delayed':
      return 'Your message has not been delivered yet to the recipients below. This is only a warning: you need not send it again.\n'
    case 'delivered':
      return 'Your message was fetched, decrypted and verified by the recipients below. This does not say that it was read.\n'
    case 'not-confirmed':
      return 'Your message was left on the servers of the recipients below, but they did not confirm it within ten days. It may never have been fetched, and by now the servers have deleted it.\n'
  }
}

function closing(report: DeliveryReport): string {
  switch (report.kind) {
    case 'failed':
      return 'Nothing of it is tried again for them. When the reason is gone, send it again.'
    case 'delayed':
      return report.givesUpMs === null
        ? 'It is tried again by itself.'
        : `It is tried again by itself until ${timeForPeople(report.givesUpMs)}.`
    case 'delivered':
      return 'This report was asked for when the message was sent.'
    case 'not-confirmed':
      return 'Ask them on another way whether it arrived, and send it again if it did not.'
  }
}

/** RFC 3464 2.2, 2.3: per message, then per recipient, an empty line between the groups. */
function deliveryStatus(report: DeliveryReport): string {
  const { message } = report
  const perMessage = [
    'Reporting-MTA: dns; cmbridge.invalid\r\n',
    message.envelopeId === null ? '' : encodeTextField('Original-Envelope-Id', message.envelopeId),
    `Arrival-Date: ${formatMailDate(message.acceptedMs)}\r\n`,
  ].join('')
  const perRecipient = report.recipients.map((recipient) => recipientStatus(report, recipient))
  return [perMessage, ...perRecipient].join('\r\n')
}

function recipientStatus(report: DeliveryReport, recipient: ReportedRecipient): string {
  const isDelayed = report.kind === 'delayed'
  return [
    recipient.originalRecipient === null
      ? ''
      : `Original-Recipient: ${originalRecipient(recipient.originalRecipient)}\r\n`,
    `Final-Recipient: ${finalRecipient(recipient.address)}\r\n`,
    `Action: ${ACTIONS[report.kind]}\r\n`,
    `Status: ${recipient.enhancedStatusCode}\r\n`,
    report.kind === 'delivered' ? '' : diagnostic(recipient.reason),
    recipient.lastAttemptMs === null
      ? ''
      : `Last-Attempt-Date: ${formatMailDate(recipient.lastAttemptMs)}\r\n`,
    isDelayed && report.givesUpMs !== null ? `Will-Retry-Until: ${formatMailDate(report.givesUpMs)}\r\n` : '',
  ].join('')
}

function diagnostic(reason: string): string {
  return encodeTextField('Diagnostic-Code', `x-cm; ${asciiOnly(reason)}`)
}

/** Encoded words mean nothing in a delivery status: what is not ASCII becomes `?`. */
function asciiOnly(text: string): string {
  return singleLine(text).replace(/[^ -~]/gu, '?')
}

/** An address with an ASCII form as `rfc822`, any other as `utf-8` in the form of RFC 6533 3. */
function finalRecipient(address: string): string {
  const ascii = asciiAddress(address)
  return ascii === undefined ? `utf-8; ${utf8AddressXtext(address)}` : `rfc822; ${ascii}`
}

function originalRecipient(text: string): string {
  const line = singleLine(text)
  const semicolon = line.indexOf(';')
  const type = line.slice(0, semicolon).trim()
  const address = line.slice(semicolon + 1).trim()
  if (semicolon < 1 || !/^[!-~]{1,40}$/.test(type)) return finalRecipient(line)
  return `${type}; ${/^[!-~]*$/.test(address) ? address : utf8AddressXtext(address)}`
}

/** RFC 6533 3: `\x{HEX}` for what is not printable ASCII. */
function utf8AddressXtext(address: string): string {
  return Array.from(singleLine(address), (character) =>
    /^[!-~]$/.test(character) && !'\\+='.includes(character)
      ? character
      : `\\x{${(character.codePointAt(0) ?? 0xfffd).toString(16).toUpperCase()}}`,
  ).join('')
}

/** RFC 3462 2 and RFC 6522 3: the message, or its header. */
function returnedMessage(message: ReportedMessage): Uint8Array {
  if (message.content !== null && message.content.length <= MAX_RETURNED_BYTES) {
    const encoding = message.content.every((octet) => octet < 0x80) ? '7bit' : '8bit'
    const head = `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`
    return Buffer.concat([Buffer.from(head, 'latin1'), message.content])
  }
  const header = Buffer.from(message.header.subarray(0, MAX_RETURNED_HEADER_BYTES)).toString('utf8')
  const { encoding, body } = encodeText(header)
  return Buffer.from(
    `Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`,
    'latin1',
  )
}

import { formatMailDate } from '../../mail/date.ts'
import { encodeAddressField, encodeMailbox, encodeTextField } from '../../mail/encode-field.ts'
import { encodeText } from '../render/encode-text.ts'

/** What every message of the bridge itself has: reports into INBOX and notices into Notices. */

/** Nobody answers there: `.invalid` is reserved (RFC 2606 2). */
const BRIDGE_ADDRESS = 'postmaster@cm.invalid'
const BRIDGE_NAME = 'Confidant Bridge'

export interface BridgeMail {
  /** Unique; hex or other characters that fit a Message-ID and a boundary. */
  readonly id: string
  readonly to: { readonly name: string; readonly address: string }
  readonly dateMs: number
}

/** Header fields up to Auto-Submitted (RFC 3834 5), which keeps vacation programs from answering. */
export function bridgeMailHeader(mail: BridgeMail, subject: string): string {
  return [
    encodeAddressField('From', [encodeMailbox(BRIDGE_NAME, BRIDGE_ADDRESS)]),
    encodeAddressField('To', [encodeMailbox(mail.to.name, mail.to.address)]),
    encodeTextField('Subject', subject),
    `Date: ${formatMailDate(mail.dateMs)}\r\n`,
    `Message-ID: <${mail.id}@cm.invalid>\r\n`,
    'Auto-Submitted: auto-generated\r\n',
    'MIME-Version: 1.0\r\n',
  ].join('')
}

/** A whole `text/plain` entity: MIME header, empty line, body. Paragraphs are wrapped for people. */
export function plainTextEntity(text: string): string {
  const { encoding, body } = encodeText(wrap(text))
  return `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`
}

/** Characters of a line of text for people. */
const TEXT_LINE_CHARS = 72

function wrap(text: string): string {
  return text
    .split('\n')
    .flatMap((line) => wrapLine(line))
    .join('\n')
}

/** Lines that start with a blank are tables and fingerprints: they stay as they are. */
function wrapLine(line: string): readonly string[] {
  if (line.length <= TEXT_LINE_CHARS || line.startsWith(' ')) return [line]
  const lines: string[] = []
  let current = ''
  for (const word of line.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > TEXT_LINE_CHARS) {
      lines.push(current)
      current = word
    } else current = current === '' ? word : `${current} ${word}`
  }
  return [...lines, current]
}

/** A time for people, in UTC: `2026-02-03 09:15 UTC`. */
export function timeForPeople(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

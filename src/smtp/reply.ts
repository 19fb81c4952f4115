import { domainToASCII } from 'node:url'
import { MAX_REPLY_LINE_BYTES } from './limits.ts'
import type { SmtpReply } from './port.ts'

/** The peer is wrong: holds the reply that says so. */
export class SmtpReplyError extends Error {
  readonly reply: SmtpReply

  constructor(reply: SmtpReply) {
    super(`${reply.replyCode} ${reply.text}`)
    this.name = 'SmtpReplyError'
    this.reply = reply
  }
}

function reply(replyCode: number, enhancedStatusCode: string, text: string): SmtpReply {
  return { replyCode, enhancedStatusCode, text }
}

/** Replies the submission server gives of its own accord; the bridge gives the others. */
export const REPLIES = {
  badSender: reply(501, '5.1.7', 'This is not a sender address'),
  badRecipient: reply(501, '5.1.3', 'This is not a recipient address'),
  badParameter: (name: string) => reply(501, '5.5.4', `Parameter ${name} has a value that is not allowed`),
  unknownParameter: (name: string) => reply(555, '5.5.4', `Parameter ${name} is not supported`),
  noBinary: reply(555, '5.5.4', 'BODY=BINARYMIME is not supported'),
  noChunking: reply(502, '5.5.1', 'BDAT is not supported'),
  lineTooLong: reply(500, '5.5.2', 'Command line too long'),
  needLogin: reply(530, '5.7.0', 'Authentication required'),
  needRecipients: reply(503, '5.5.1', 'Need RCPT first'),
  badCredentials: reply(535, '5.7.8', 'Authentication credentials invalid'),
  loginFailure: reply(454, '4.7.0', 'Temporary authentication failure'),
  loginThrottled: (seconds: number) =>
    reply(454, '4.7.0', `Too many failed logins, try again in ${seconds} seconds`),
  tooManyLogins: reply(421, '4.7.0', 'Too many failed logins, closing connection'),
  loginTooLate: reply(421, '4.7.0', 'No login in time, closing connection'),
  tooManyConnections: reply(421, '4.3.2', 'Too many connections, try again in a moment'),
  tooManyRefusedRecipients: reply(421, '4.7.0', 'Too many unknown recipients, closing connection'),
  shuttingDown: reply(421, '4.3.2', 'Service shutting down'),
  injectedBeforeTls: reply(501, '5.5.1', 'Nothing may follow STARTTLS before the TLS handshake'),
  tooBig: (maxBytes: number) => reply(552, '5.3.4', `The message is larger than ${maxBytes} octets`),
  localError: reply(451, '4.3.0', 'Local error, try again later'),
} as const

/** The shape of an enhanced status code at the start of a text (RFC 3463 2). */
const LEADING_STATUS_CODE = /^([245]\.\d{1,3}\.\d{1,3}) (.*)$/s

/** The text of a reply with its enhanced status code in front, as it is handed through the SMTP package. */
export function replyText({ enhancedStatusCode, text }: SmtpReply): string {
  return enhancedStatusCode === '' ? text : `${enhancedStatusCode} ${text}`
}

/** Takes apart what `replyText` put together; undefined when no status code of that class leads the text. */
export function parseReplyText(replyCode: number, text: string): SmtpReply | undefined {
  const match = LEADING_STATUS_CODE.exec(text)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  if (match[1][0] !== String(replyCode)[0]) return undefined
  return { replyCode, enhancedStatusCode: match[1], text: match[2] }
}

/**
 * The lines of a reply without code and CRLF: each starts with the enhanced status code (RFC 2034 4) and none is
 * longer than RFC 5321 4.5.3.1.5 allows. Controls and line separators become blanks; without `utf8` domains become
 * A-labels and anything else beyond ASCII becomes `?` (RFC 6531 3.7.4.2).
 */
export function replyLines(given: SmtpReply, options: { readonly utf8: boolean }): string[] {
  const prefix = given.enhancedStatusCode === '' ? '' : `${given.enhancedStatusCode} `
  const room = MAX_REPLY_LINE_BYTES - Buffer.byteLength(`550 ${prefix}\r\n`)
  const clean = given.text.replace(/[\p{Cc}\u2028\u2029\p{Bidi_Control}]+/gu, ' ').toWellFormed()
  const text = options.utf8 ? clean : withAsciiDomains(clean).replace(/[^ -~]/gu, '?')
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ').flatMap((each) => pieces(each, room))) {
    const longer = line === '' ? word : `${line} ${word}`
    if (Buffer.byteLength(longer) <= room) {
      line = longer
    } else {
      lines.push(line)
      line = word
    }
  }
  return [...lines, line].map((each) => prefix + each)
}

/** `@bücher.example` becomes `@xn--bcher-kva.example`; what cannot be a domain is left as it is. */
function withAsciiDomains(text: string): string {
  return text.replace(/@([^\s@<>(),;:"]*[^\s!-~][^\s@<>(),;:"]*)/gu, (whole, domain: string) => {
    const ascii = domainToASCII(domain)
    return ascii === '' ? whole : `@${ascii}`
  })
}

/** Cuts a word that fits no line; cuts between characters. */
function pieces(word: string, room: number): string[] {
  if (Buffer.byteLength(word) <= room) return [word]
  const cut: string[] = ['']
  for (const character of word) {
    const last = cut.at(-1) ?? ''
    if (Buffer.byteLength(last + character) <= room) cut[cut.length - 1] = last + character
    else cut.push(character)
  }
  return cut
}

import { MAX_ADDRESS_BYTES, MAX_ENVELOPE_ID_CHARACTERS, MAX_ORIGINAL_RECIPIENT_CHARACTERS } from './limits.ts'
import { type HoldRequest, MAX_HOLD_SECONDS, type MailFromCommand, type RcptToCommand } from './port.ts'
import { REPLIES, SmtpReplyError } from './reply.ts'

/** What the SMTP package makes of the parameters: keywords in capitals, values with xtext decoded, `true` for a bare one. */
export type EsmtpParameters = Readonly<Record<string, string | true>>

/** Parameters of MAIL we answer for: SIZE, 8BITMIME, SMTPUTF8, DSN, FUTURERELEASE, and AUTH= as RFC 4954 5 demands. */
const MAIL_PARAMETERS = new Set(['SIZE', 'BODY', 'SMTPUTF8', 'RET', 'ENVID', 'AUTH', 'HOLDFOR', 'HOLDUNTIL'])
const RCPT_PARAMETERS = new Set(['NOTIFY', 'ORCPT'])

/** A source route, to be accepted and ignored (RFC 5321 4.1.2, appendix C). */
const SOURCE_ROUTE = /^@[^\s,:@]+(?:,@[^\s,:@]+)*:/
/**
 * Never part of an address, and a danger wherever one is shown: controls, line separators, invisible characters and
 * what turns the direction of text; U+FFFD stands for octets that were not UTF-8.
 */
const FORBIDDEN_IN_ADDRESS =
  /[\p{Cc}\u00AD\u180E\u200B\u2028\u2029\u2060\uFEFF\uFFFD\p{Bidi_Control}\uFFF9-\uFFFB\u{E0000}-\u{E007F}]/u

/**
 * The address of `MAIL FROM:<…>` or `RCPT TO:<…>` exactly as sent, without `<>` and source route, before anything
 * turns `xn--` into Unicode (design 7.2); undefined when there is none or it cannot be one.
 */
export function addressAsSent(command: string): string | undefined {
  const colon = command.indexOf(':')
  if (colon < 0) return undefined
  const path = /^\s*<([^<>\s]*)>(?:\s|$)/.exec(command.slice(colon + 1))?.[1]
  const address = path?.replace(SOURCE_ROUTE, '')
  if (address === undefined || Buffer.byteLength(address) > MAX_ADDRESS_BYTES) return undefined
  return FORBIDDEN_IN_ADDRESS.test(address) ? undefined : address
}

function refuseUnknown(parameters: EsmtpParameters, known: ReadonlySet<string>): void {
  const unknown = Object.keys(parameters).find((name) => !known.has(name))
  if (unknown !== undefined) throw new SmtpReplyError(REPLIES.unknownParameter(printable(unknown)))
}

function printable(name: string): string {
  return name.replace(/[^!-~]/g, '?').slice(0, 40)
}

/** Refuses what we do not announce: unknown parameters (RFC 5321 4.1.1.11) and BINARYMIME. Throws SmtpReplyError. */
export function checkMailParameters(parameters: EsmtpParameters): void {
  refuseUnknown(parameters, MAIL_PARAMETERS)
  const { BODY: body, ENVID: envelopeId } = parameters
  if (typeof body === 'string' && body.toUpperCase() === 'BINARYMIME') {
    throw new SmtpReplyError(REPLIES.noBinary)
  }
  if (typeof envelopeId === 'string' && envelopeId.length > MAX_ENVELOPE_ID_CHARACTERS) {
    throw new SmtpReplyError(REPLIES.badParameter('ENVID'))
  }
  checkHold(parameters)
}

/** RFC 4865 4: one of the two, a number of seconds up to the announced one, or a date with a zone (RFC 3339). */
function checkHold({ HOLDFOR: holdFor, HOLDUNTIL: holdUntil }: EsmtpParameters): void {
  if (holdFor !== undefined && holdUntil !== undefined) {
    throw new SmtpReplyError(REPLIES.badParameter('HOLDUNTIL beside HOLDFOR'))
  }
  const seconds = typeof holdFor === 'string' && /^[1-9]\d{0,8}$/.test(holdFor) ? Number(holdFor) : 0
  if (holdFor !== undefined && (seconds === 0 || seconds > MAX_HOLD_SECONDS)) {
    throw new SmtpReplyError(REPLIES.badParameter('HOLDFOR'))
  }
  if (holdUntil !== undefined && (holdUntil === true || untilMs(holdUntil) === undefined)) {
    throw new SmtpReplyError(REPLIES.badParameter('HOLDUNTIL'))
  }
}

/** The line of EHLO: the longest hold in seconds, and the same as a date (RFC 4865 4). */
export function futureReleaseFeature(nowMs: number): string {
  const latest = new Date(nowMs + MAX_HOLD_SECONDS * 1000).toISOString()
  return `FUTURERELEASE ${MAX_HOLD_SECONDS} ${latest.replace(/\.\d+Z$/, 'Z')}`
}

const HOLD_UNTIL = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/i

function untilMs(date: string): number | undefined {
  const day = HOLD_UNTIL.exec(date)?.[1]
  const ms = Date.parse(date)
  const isDay = day !== undefined && new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day) === true
  return isDay && !Number.isNaN(ms) ? ms : undefined
}

function holdRequest({ HOLDFOR: holdFor, HOLDUNTIL: holdUntil }: EsmtpParameters): HoldRequest | null {
  if (typeof holdFor === 'string') return { kind: 'for', seconds: Number(holdFor) }
  const ms = typeof holdUntil === 'string' ? untilMs(holdUntil) : undefined
  return ms === undefined ? null : { kind: 'until', ms }
}

/** Refuses unknown parameters of RCPT and an ORCPT beyond its length. Throws SmtpReplyError. */
export function checkRcptParameters(parameters: EsmtpParameters): void {
  refuseUnknown(parameters, RCPT_PARAMETERS)
  const original = parameters.ORCPT
  if (typeof original === 'string' && original.length > MAX_ORIGINAL_RECIPIENT_CHARACTERS) {
    throw new SmtpReplyError(REPLIES.badParameter('ORCPT'))
  }
}

function text(value: string | true | undefined): string | null {
  return typeof value === 'string' ? value : null
}

/** MAIL as the port wants it, from parameters that were checked (SIZE: RFC 1870, RET and ENVID: RFC 3461 4.3, 4.4, holds: RFC 4865 4). */
export function mailFromCommand(address: string, parameters: EsmtpParameters): MailFromCommand {
  const size = text(parameters.SIZE)
  const ret = text(parameters.RET)?.toUpperCase()
  return {
    address,
    declaredBytes: size === null ? null : Number(size),
    envelopeId: text(parameters.ENVID),
    returnContent: ret === 'FULL' ? 'full' : ret === 'HDRS' ? 'headers' : null,
    hold: holdRequest(parameters),
  }
}

const NOTIFY_WORDS = ['never', 'success', 'failure', 'delay'] as const

/** RCPT as the port wants it, from parameters that were checked (NOTIFY and ORCPT: RFC 3461 4.1, 4.2). */
export function rcptToCommand(address: string, parameters: EsmtpParameters): RcptToCommand {
  const given = (text(parameters.NOTIFY) ?? '').toLowerCase().split(',')
  return {
    address,
    notify: NOTIFY_WORDS.filter((word) => given.includes(word)),
    originalRecipient: text(parameters.ORCPT),
  }
}

/** An EHLO name fit for a log line: printable ASCII without blanks, cut. It decides nothing (RFC 5321 4.1.4). */
export function cleanHelloName(command: string, maxBytes: number): string {
  const name = command.trim().replace(/^\S+\s*/, '')
  return name
    .replace(/\s+/g, '_')
    .replace(/[^!-~]/gu, '?')
    .slice(0, maxBytes)
}

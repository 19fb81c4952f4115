import { blockLines, isForbiddenLine, isReservedLine, MAX_KEY_ANNOUNCEMENT_BYTES } from './block-text.ts'
import type { ClearSigned } from './clear-signed.ts'
import { parseClearSigned } from './clear-signed.ts'
import { ANY_FORM, DATE_FORM, HeaderFields } from './header-fields.ts'
import type { ProofOfWorkStrength } from './proof-of-work.ts'
import { encodeProofOfWorkDemand, parseProofOfWorkDemand } from './proof-of-work.ts'
import type { RejectReason } from './reject-reason.ts'
import type { Transport } from './transport.ts'
import { encodeTransport, parseTransport } from './transport.ts'
import { parseUtcTime } from './utc-time.ts'

/** `key-announcement`: a public key and how to reach its owner, signed by that key (CM wire 3). */

export interface KeyAnnouncement {
  /** The first `Date`, as text. */
  readonly date: string
  readonly dateMs: number
  /** The first `Expires`; undefined when missing or malformed: never expires (CM wire 3.3). */
  readonly expiresMs: number | undefined
  /** The header's text, for people; the key's own user ids are what counts. */
  readonly userId: string | undefined
  readonly transport: Transport | undefined
  readonly mailboxPrefixes: readonly string[]
  /** undefined: missing, or nothing a sender could make (CM wire 3.4). */
  readonly senderProofOfWork: ProofOfWorkStrength | undefined
  /** CM date text (CM wire 6). */
  readonly bypassTokenAccepted: string | undefined
  readonly proofOfWork: string
  /** What the proof is made over (CM wire 3.2). */
  readonly proofInput: Buffer
  /** The armored key block, not escaped, LF line ends. */
  readonly keyBlock: string
  readonly signed: ClearSigned
}

export type KeyAnnouncementResult =
  | { readonly kind: 'ok'; readonly announcement: KeyAnnouncement }
  | { readonly kind: 'rejected'; readonly reason: RejectReason }

const KEY_BEGIN = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
const KEY_END = '-----END PGP PUBLIC KEY BLOCK-----'
/** Mailboxes of one user: each is a question at every mail check. */
const MAX_MAILBOXES = 64
const PROOF_PREFIX = 'ProofOfWork: '

/** Start and end line of the one key block; undefined when there is none or a second one. */
function keyBlockRange(escapedLines: readonly string[]): readonly [number, number] | undefined {
  const begin = escapedLines.indexOf(`- ${KEY_BEGIN}`)
  const end = escapedLines.indexOf(`- ${KEY_END}`)
  const single =
    escapedLines.indexOf(`- ${KEY_BEGIN}`, begin + 1) < 0 && escapedLines.indexOf(`- ${KEY_END}`, end + 1) < 0
  return begin >= 0 && end > begin && single ? [begin, end] : undefined
}

/** Everything behind the ProofOfWork line, key lines unescaped, nothing between the lines (CM wire 3.2, 3.3). */
function proofInput(escapedLines: readonly string[], proofLine: number): Buffer {
  const lines = escapedLines.slice(proofLine + 1).map((line) => {
    return line === `- ${KEY_BEGIN}` || line === `- ${KEY_END}` ? line.slice(2) : line
  })
  return Buffer.from(lines.join(''))
}

/** The value of the first line with exactly this name: names are case-sensitive here (CM wire 3.3). */
function firstExact(lines: readonly string[], name: string): string | undefined {
  return lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
}

/** `Mailboxes` is split at commas and nothing else is trimmed but a tab at the end (CM wire 3.4). */
export function parseMailboxPrefixes(value: string): string[] {
  return value.replace(/(?<![\r\n\t])[\r\n\t]+$/, '').split(',')
}

/** Headers a sender reads: the last one counts, names in any case (CM wire 3.4). */
function senderHeaders(headers: readonly string[]) {
  const fields = new HeaderFields(headers)
  const transport = fields.last('transport', ANY_FORM)
  const mailboxes = fields.last('mailboxes', ANY_FORM)
  return {
    userId: fields.last('userid', ANY_FORM),
    transport: transport === undefined ? undefined : parseTransport(transport),
    mailboxPrefixes: mailboxes === undefined ? [] : parseMailboxPrefixes(mailboxes),
    senderProofOfWork: parseProofOfWorkDemand(fields.last('senderproofofwork', ANY_FORM) ?? ''),
    bypassTokenAccepted: fields.last('bypasstokenaccepted', DATE_FORM),
  }
}

function rejected(reason: RejectReason): KeyAnnouncementResult {
  return { kind: 'rejected', reason }
}

function readSigned(signed: ClearSigned): KeyAnnouncementResult {
  const range = keyBlockRange(signed.escapedLines)
  if (range === undefined) return rejected('malformed')
  if (signed.lines.some((line) => isReservedLine(line) || isForbiddenLine(line)))
    return rejected('forbidden-header')
  const [begin, end] = range
  const proofLine = signed.escapedLines.findIndex((line) => line.startsWith(PROOF_PREFIX))
  const proofOfWork = signed.escapedLines[proofLine]?.slice(PROOF_PREFIX.length)
  if (proofOfWork === undefined) return rejected('proof-of-work')
  const headers = [...signed.lines.slice(0, begin), ...signed.lines.slice(end + 1)]
  const date = firstExact(headers, 'Date')
  const dateMs = parseUtcTime(date ?? '')
  if (date === undefined || dateMs === undefined) return rejected('date')
  const sender = senderHeaders(headers)
  if (sender.mailboxPrefixes.length > MAX_MAILBOXES) return rejected('too-large')
  const announcement: KeyAnnouncement = {
    ...sender,
    date,
    dateMs,
    expiresMs: parseUtcTime(firstExact(headers, 'Expires') ?? ''),
    proofOfWork,
    proofInput: proofInput(signed.escapedLines, proofLine),
    keyBlock: `${signed.lines.slice(begin, end + 1).join('\n')}\n`,
    signed,
  }
  return { kind: 'ok', announcement }
}

/** Reads a key announcement; nothing is verified yet. Only the signed part counts, and nothing may stand around it. */
export function parseKeyAnnouncement(text: string): KeyAnnouncementResult {
  if (Buffer.byteLength(text) > MAX_KEY_ANNOUNCEMENT_BYTES) return rejected('too-large')
  const result = parseClearSigned(blockLines(text))
  if (result.kind === 'signed') return readSigned(result.signed)
  return rejected(result.kind)
}

/**
 * An announcement that was verified, with another form of the same key in it: for who keeps it and has no use for all
 * of the key. Its signature no longer fits.
 */
export function withKeyBlock(text: string, keyBlock: string): string {
  const lines = blockLines(text)
  const begin = lines.indexOf(`- ${KEY_BEGIN}`)
  const end = lines.indexOf(`- ${KEY_END}`, begin)
  if (begin < 0 || end < 0) throw new Error('a key announcement has one key block')
  const escaped = blockLines(keyBlock.trimEnd()).map((line) => (line.startsWith('-') ? `- ${line}` : line))
  return `${[...lines.slice(0, begin), ...escaped, ...lines.slice(end + 1)].join('\n')}\n`
}

export interface NewKeyAnnouncement {
  readonly date: string
  readonly expires: string
  readonly userId: string | undefined
  readonly transport: Transport
  readonly mailboxPrefixes: readonly string[]
  readonly senderProofOfWork: ProofOfWorkStrength
  readonly bypassTokenAccepted: string | undefined
  /** Armored public key, as it is announced; LF or CRLF line ends. */
  readonly keyBlock: string
}

/** The text behind the ProofOfWork line, LF line ends, one empty line at the end (CM wire 3.1). */
export function encodeKeyAnnouncementBody(announcement: NewKeyAnnouncement): string {
  const lines = [
    'Type: key-announcement',
    'Version: 1',
    `Date: ${announcement.date}`,
    `Expires: ${announcement.expires}`,
  ]
  if (announcement.userId !== undefined) lines.push(`Userid: ${announcement.userId}`)
  lines.push(
    `Transport: ${encodeTransport(announcement.transport)}`,
    `Mailboxes: ${announcement.mailboxPrefixes.join(',')}`,
    `SenderProofOfWork: ${encodeProofOfWorkDemand(announcement.senderProofOfWork)}`,
  )
  if (announcement.bypassTokenAccepted !== undefined) {
    lines.push(`BypassTokenAccepted: ${announcement.bypassTokenAccepted}`)
  }
  const keyBlock = announcement.keyBlock.replaceAll('\r', '').trimEnd()
  return `${[...lines, '', keyBlock, ''].join('\n')}\n`
}

import { type AcknowledgmentId, type KeyId, parseKeyId } from '../ids.ts'
import { parseUtcTime } from '../utc-time.ts'

/**
 * HEADER.TXT, the signed header of a message (CM message 2). Reading is exact where readers must agree on who wrote
 * to whom, and lenient where the reference is; writing is `encode-header-txt.ts`.
 */

/** Octets of a HEADER.TXT we read: 2,000 recipients take about 0.5 MiB. */
export const MAX_HEADER_TXT_BYTES = 1024 * 1024
/** To, Cc and Bcc lines we read; one entry each in memory and in the rendered header. */
const MAX_HEADER_PARTIES = 4000

export type RecipientType = 'to' | 'cc' | 'bcc'

/** One `From`, `To`, `Cc` or `Bcc` value: the text is display only, the key id decides (CM message 2.3). */
export interface HeaderParty {
  readonly keyId: KeyId
  /** What stands before the key id; may be empty. */
  readonly text: string
}

interface HeaderRecipient extends HeaderParty {
  readonly type: RecipientType
}

/** The header's Date: the text as it stands and its instant. */
interface HeaderDate {
  readonly text: string
  readonly ms: number
}

export interface MessageHeader {
  readonly from: HeaderParty
  /** In the order of the lines. */
  readonly recipients: readonly HeaderRecipient[]
  /** `server=…` or `entangled`, by lower-case key id. */
  readonly keyTransports: ReadonlyMap<KeyId, string>
  readonly acknowledgmentIds: ReadonlyMap<KeyId, AcknowledgmentId>
  readonly messageUniqueId: string | undefined
  readonly replyThreadId: string | undefined
  readonly forwardedMessageId: string | undefined
  /** Undefined when there is no `Subject: ` line. */
  readonly subject: string | undefined
  /** Undefined when there is no Date line that is a real UTC instant. */
  readonly date: HeaderDate | undefined
}

export type HeaderFault =
  | 'header-too-large'
  | 'header-not-utf8'
  | 'no-from'
  | 'several-from'
  | 'too-many-recipients'

export type HeaderOutcome =
  | { readonly kind: 'ok'; readonly header: MessageHeader; readonly warnings: readonly HeaderWarning[] }
  | { readonly kind: 'unreadable'; readonly reason: HeaderFault }

export type HeaderWarning = 'repeated-header' | 'unreadable-recipient' | 'subject-missing' | 'date-unreadable'

// `s`: a line separator of another script (U+2028, a lone CR) is text here, never the end of a line.
const PARTY = /^(?:(.*) )?([0-9a-f]{40})[ \t]*$/is
const ID_AT_END = /(?:^|[^0-9a-f])([0-9a-f]{40})$/i
const BARE_ID = /^[0-9a-f]{40}$/i
const KEY_TRANSPORT = /^keytransport-([0-9a-f]{40}): (server=.+|entangled)$/is
const ACK = /^ack-([0-9a-f]{40}): ([0-9a-f]{40})$/i
const LINE = /^([^:]+): (.*)$/s

interface Draft {
  from: HeaderParty[]
  fromLines: number
  recipients: HeaderRecipient[]
  keyTransports: Map<KeyId, string>
  acknowledgmentIds: Map<KeyId, AcknowledgmentId>
  /** Single-valued headers by lower-case name; the last line wins, as in the reference (CM message 2.1). */
  single: Map<string, string>
  warnings: Set<HeaderWarning>
}

const SINGLE = new Set(['messageuniqueid', 'replythreadid', 'forwardedmessageid', 'subject', 'date'])

/**
 * Reads HEADER.TXT (CM message 2.1). Unreadable means the message goes to quarantine: not UTF-8, over the limits, or
 * not exactly one From line. A byte order mark hides the first line, as it does in the reference: readers must agree.
 */
export function parseHeaderTxt(bytes: Uint8Array): HeaderOutcome {
  if (bytes.length > MAX_HEADER_TXT_BYTES) return { kind: 'unreadable', reason: 'header-too-large' }
  const text = decodeUtf8(bytes)
  if (text === undefined) return { kind: 'unreadable', reason: 'header-not-utf8' }
  const draft = createDraft()
  for (const line of text.split('\n')) readLine(draft, withoutTrailingCr(line))
  const from = draft.from[0]
  if (draft.fromLines > 1) return { kind: 'unreadable', reason: 'several-from' }
  if (from === undefined) return { kind: 'unreadable', reason: 'no-from' }
  if (draft.recipients.length > MAX_HEADER_PARTIES)
    return { kind: 'unreadable', reason: 'too-many-recipients' }
  const header = finish(draft, from)
  if (header.subject === undefined) draft.warnings.add('subject-missing')
  if (header.date === undefined) draft.warnings.add('date-unreadable')
  return { kind: 'ok', header, warnings: [...draft.warnings] }
}

/** CRLF is tolerated (CM message 2.1). By hand: a regular expression is quadratic in a megabyte of CR. */
function withoutTrailingCr(line: string): string {
  let end = line.length
  while (end > 0 && line[end - 1] === '\r') end -= 1
  return line.slice(0, end)
}

function createDraft(): Draft {
  return {
    from: [],
    fromLines: 0,
    recipients: [],
    keyTransports: new Map(),
    acknowledgmentIds: new Map(),
    single: new Map(),
    warnings: new Set(),
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    // The decoder has no other failure than malformed input.
    return undefined
  }
}

function readLine(draft: Draft, line: string): void {
  const match = LINE.exec(line)
  const name = match?.[1]?.toLowerCase()
  const value = match?.[2]
  // `From:` without its space is no From for any reader, but it must not hide a second one from us.
  if (/^from:/i.test(line)) draft.fromLines += 1
  if (name === undefined || value === undefined) return
  if (name === 'from') readFrom(draft, value)
  else if (name === 'to' || name === 'cc' || name === 'bcc') readRecipient(draft, name, value)
  else if (name.startsWith('keytransport-')) readKeyTransport(draft, line)
  else if (name.startsWith('ack-')) readAck(draft, line)
  else if (SINGLE.has(name)) readSingle(draft, name, value)
}

function parseParty(value: string): HeaderParty | undefined {
  const match = PARTY.exec(value)
  const keyId = parseKeyId(match?.[2] ?? '')
  return keyId === undefined ? undefined : { keyId, text: match?.[1] ?? '' }
}

function readFrom(draft: Draft, value: string): void {
  const party = parseParty(value)
  if (party !== undefined) draft.from.push(party)
}

function readRecipient(draft: Draft, type: RecipientType, value: string): void {
  const party = parseParty(value)
  if (party === undefined) draft.warnings.add('unreadable-recipient')
  else draft.recipients.push({ type, ...party })
}

function readKeyTransport(draft: Draft, line: string): void {
  const match = KEY_TRANSPORT.exec(line)
  const keyId = parseKeyId(match?.[1] ?? '')
  if (keyId !== undefined && match?.[2] !== undefined) draft.keyTransports.set(keyId, match[2])
}

function readAck(draft: Draft, line: string): void {
  const match = ACK.exec(line)
  const keyId = parseKeyId(match?.[1] ?? '')
  if (keyId !== undefined && match?.[2] !== undefined) {
    draft.acknowledgmentIds.set(keyId, match[2].toLowerCase() as AcknowledgmentId)
  }
}

function readSingle(draft: Draft, name: string, value: string): void {
  if (draft.single.has(name)) draft.warnings.add('repeated-header')
  draft.single.set(name, value)
}

function finish(draft: Draft, from: HeaderParty): MessageHeader {
  const single = (name: string): string => draft.single.get(name) ?? ''
  const date = single('date')
  const ms = parseUtcTime(date)
  const forwarded = single('forwardedmessageid')
  return {
    from,
    recipients: draft.recipients,
    keyTransports: draft.keyTransports,
    acknowledgmentIds: draft.acknowledgmentIds,
    messageUniqueId: ID_AT_END.exec(single('messageuniqueid'))?.[1]?.toLowerCase(),
    replyThreadId: ID_AT_END.exec(single('replythreadid'))?.[1]?.toLowerCase(),
    forwardedMessageId: BARE_ID.test(forwarded) ? forwarded.toLowerCase() : undefined,
    subject: draft.single.get('subject'),
    date: ms === undefined ? undefined : { text: date, ms },
  }
}

import { type KeyId, parseKeyId } from '../ids.ts'
import { parseUtcTime } from '../utc-time.ts'
import { type HeaderParty, type MessageHeader, parseHeaderTxt, type RecipientType } from './header-txt.ts'
import { type PickleValue, readSyncPickle } from './sync-pickle.ts'

/** A message that another client of the account sent, as a folder-sync message brings it (CM message 7.2, 9.1). */
export interface SyncedMessage {
  readonly recipients: readonly (HeaderParty & { readonly type: RecipientType })[]
  readonly subject: string
  readonly bodyText: string | undefined
  readonly bodyHtml: string | undefined
  readonly bodyXml: string | undefined
  /** Names alone: the files lie on the other machine. */
  readonly attachmentNames: readonly string[]
  /** When it was saved; undefined when that cannot be read. */
  readonly savedMs: number | undefined
  /** Its HEADER.TXT, when it was there at sending time. */
  readonly header: MessageHeader | undefined
}

/** Octets of the pickle of one message: bodies only, attachments are names. */
export const MAX_SYNCED_MESSAGE_BYTES = 8 * 1024 * 1024
/** ZIP entry of a message's pickle; `.HDR` behind it is that of its header. */
export function syncedMessageEntry(sentId: string): string {
  return `_${sentId.toUpperCase()}`
}

const TUPLE_LENGTH = 10
const TYPES: Readonly<Record<string, RecipientType>> = { T: 'to', C: 'cc', B: 'bcc' }

/** Reads the message tuple; undefined when it is not one. A header that cannot be read is left out. */
export function parseSyncedMessage(
  pickle: Uint8Array,
  headerTxt: Uint8Array | undefined,
): SyncedMessage | undefined {
  const tuple = readSyncPickle(pickle)
  if (tuple?.kind !== 'list' || tuple.items.length !== TUPLE_LENGTH) return undefined
  const [, shown, files, , , subject, text, html, xml, saved] = tuple.items
  if (shown?.kind !== 'list' || files?.kind !== 'list') return undefined
  const header = headerTxt === undefined ? undefined : parseHeaderTxt(headerTxt)
  return {
    recipients: shown.items.flatMap((item) => parseRecipient(stringOf(item))),
    subject: stringOf(subject) ?? '',
    bodyText: stringOf(text),
    bodyHtml: stringOf(html),
    bodyXml: stringOf(xml),
    attachmentNames: files.items.map((item) => baseName(stringOf(item) ?? '')).filter((name) => name !== ''),
    savedMs: parseUtcTime(stringOf(saved) ?? ''),
    header: header?.kind === 'ok' ? header.header : undefined,
  }
}

/** Both of Python's strings hold UTF-8 here. */
function stringOf(value: PickleValue | undefined): string | undefined {
  if (value?.kind === 'text') return value.text
  return value?.kind === 'bytes' ? new TextDecoder().decode(value.bytes) : undefined
}

const RECIPIENT = /^([TCB]):(?:(.*) )?([0-9a-f]{40})$/is

/** `T:Bob Example <bob@example.net> <keyid>`. */
function parseRecipient(value: string | undefined): SyncedMessage['recipients'][number][] {
  const [, letter = '', text = '', key = ''] = RECIPIENT.exec(value ?? '') ?? []
  const keyId: KeyId | undefined = parseKeyId(key)
  const type = TYPES[letter.toUpperCase()]
  return keyId === undefined || type === undefined ? [] : [{ type, keyId, text }]
}

/** Paths of Windows and Unix alike. */
function baseName(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? ''
}

import { type AnnouncementId, type KeyId, parseKeyId } from '../ids.ts'
import { parseUtcTime } from '../utc-time.ts'
import { type PickleValue, readSyncPickle } from './sync-pickle.ts'

/**
 * What one reference client tells the others of its account: `_sendlog.dat` of a folder-sync message (CM message 7).
 * Only ever read from a message that the account's own key signed.
 */

/** ZIP entry of the records. */
export const SYNC_LOG_ENTRY = '_sendlog.dat'
/** Octets of the records: 100 each, and a first log may have tens of thousands. */
export const MAX_SYNC_LOG_BYTES = 4 * 1024 * 1024
/** Octets of one record; a token or two folder names take 200. */
const MAX_RECORD_BYTES = 4096
const MAX_RECORDS = 50_000

/** One change, in the reference's words; ids are 40 lower-case hex digits. */
export type FolderSyncRecord =
  | { readonly name: 'AddMsg' | 'DelMsg'; readonly path: readonly string[]; readonly id: AnnouncementId }
  | { readonly name: 'SendMsg' | 'SaveDraft'; readonly id: string }
  | { readonly name: 'AddCat' | 'DelCat'; readonly path: readonly string[] }
  | { readonly name: 'RenCat'; readonly from: readonly string[]; readonly to: readonly string[] }
  | {
      readonly name: 'SyncBypassToken'
      readonly keyId: KeyId
      /** 40 hex, lower case. */
      readonly secret: string
      readonly created: string
      /** CM date, or `never`. */
      readonly expires: string
    }

export interface FolderSyncLog {
  readonly records: readonly FolderSyncRecord[]
  /** Records that are none of these, such as `SetColor`, whose pickles name a class. */
  readonly ignoredCount: number
  /** The log ends in the middle of a record, or is longer than is read. */
  readonly isCut: boolean
}

/** Reads the records in their order: four octets of length, little-endian, and a pickled list each (CM message 7.2). */
export function parseFolderSyncLog(log: Uint8Array): FolderSyncLog {
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength)
  const records: FolderSyncRecord[] = []
  let ignoredCount = 0
  let position = 0
  while (position < log.length) {
    if (position + 4 > log.length) return { records, ignoredCount, isCut: true }
    const end = position + 4 + view.getUint32(position, true)
    if (end > log.length || records.length + ignoredCount >= MAX_RECORDS) {
      return { records, ignoredCount, isCut: true }
    }
    const record = parseRecord(log.subarray(position + 4, end))
    if (record === undefined) ignoredCount += 1
    else records.push(record)
    position = end
  }
  return { records, ignoredCount, isCut: false }
}

function parseRecord(pickle: Uint8Array): FolderSyncRecord | undefined {
  if (pickle.length > MAX_RECORD_BYTES) return undefined
  const value = readSyncPickle(pickle)
  if (value?.kind !== 'list') return undefined
  const [first, ...rest] = value.items
  const name = toText(first)
  if (name === 'AddMsg' || name === 'DelMsg') return parseFiling(name, rest)
  return rest.length === 1 ? parseSingle(name, rest[0]) : parseRenaming(name, rest)
}

function parseFiling(name: 'AddMsg' | 'DelMsg', rest: readonly PickleValue[]): FolderSyncRecord | undefined {
  const [path, id] = [toPath(rest[0]), toId(rest[1])]
  if (path === undefined || id === undefined || rest.length !== 2) return undefined
  return { name, path, id: id as AnnouncementId }
}

function parseSingle(name: string | undefined, value: PickleValue | undefined): FolderSyncRecord | undefined {
  const [path, id] = [toPath(value), toId(value)]
  switch (name) {
    case 'SendMsg':
    case 'SaveDraft':
      return id === undefined ? undefined : { name, id }
    case 'AddCat':
    case 'DelCat':
      return path === undefined ? undefined : { name, path }
    case 'SyncBypassToken':
      return parseToken(toText(value))
    default:
      return undefined
  }
}

function parseRenaming(name: string | undefined, rest: readonly PickleValue[]): FolderSyncRecord | undefined {
  const [from, to] = [toPath(rest[0]), toPath(rest[1])]
  if (name !== 'RenCat' || from === undefined || to === undefined || rest.length !== 2) return undefined
  return { name, from, to }
}

/** Predefined names are byte strings, the user's are Unicode (CM message 7.3). */
function toText(value: PickleValue | undefined): string | undefined {
  if (value?.kind === 'text') return value.text
  if (value?.kind !== 'bytes') return undefined
  const text = Buffer.from(value.bytes).toString('latin1')
  return /^[\0-\x7f]*$/.test(text) ? text : undefined
}

/** Names joined by NUL. */
function toPath(value: PickleValue | undefined): readonly string[] | undefined {
  const text = toText(value)
  return text === undefined || text === '' ? undefined : text.split('\0')
}

const ID_BYTES = 20

function toId(value: PickleValue | undefined): string | undefined {
  if (value?.kind !== 'bytes' || value.bytes.length !== ID_BYTES) return undefined
  return Buffer.from(value.bytes).toString('hex')
}

const TOKEN = /^([0-9a-f]{40}),([0-9a-f]{40}),([^,]{20}),([^,]+)$/i

function parseToken(text: string | undefined): FolderSyncRecord | undefined {
  const [, key = '', secret = '', created = '', expires = ''] = TOKEN.exec(text ?? '') ?? []
  const keyId = parseKeyId(key)
  if (keyId === undefined || parseUtcTime(created) === undefined) return undefined
  if (expires !== 'never' && parseUtcTime(expires) === undefined) return undefined
  return { name: 'SyncBypassToken', keyId, secret: secret.toLowerCase(), created, expires }
}

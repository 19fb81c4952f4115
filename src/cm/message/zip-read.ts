import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { pipeline, Readable } from 'node:stream'
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib'
import {
  type Entry,
  fromBufferPromise,
  fromRandomAccessReaderPromise,
  RandomAccessReader,
  type ZipFile,
} from 'yauzl'
import { type ByteSource, sourceChunks, withSource } from './byte-source.ts'

/**
 * The ZIP of a message, read defensively (CM message 1.4, 1.7). The directory is yauzl's; sizes, CRC-32,
 * names and overlaps are checked here, because it does not.
 */

/** Entries of one archive: 900 parts, 2,000 acknowledgment files and bodies fit. */
const MAX_ZIP_ENTRIES = 4096
/** Octets of an entry's name as it stands; names we would show are cut much shorter. */
const MAX_NAME_BYTES = 1024
/** Octets of all entries unpacked: twice what SMTP takes in, so that every bridge can read every bridge. */
const MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024
/** Unpacked octets per octet of archive; text compresses 5 to 20 times, a bomb a thousand times. */
const MAX_EXPANSION_RATIO = 200
/** Below this the ratio is not looked at: a few mebibytes harm nobody. */
const FREE_EXPANSION_BYTES = 16 * 1024 * 1024
/** Octets of an entry that are unpacked at once: less than a stream for it costs, and no event loop notices. */
const MAX_AT_ONCE_BYTES = 64 * 1024

const STORED = 0
const DEFLATED = 8

/** The part of a source that is an archive: from `start` (octets) to its end. */
export type ZipSource = ByteSource & { readonly start: number }

type FileSource = Extract<ZipSource, { readonly path: string }>

/** One entry, plain data that may cross to another thread. */
export interface ZipEntry {
  /** As it stands: UTF-8 when it is UTF-8, else Windows-1252; may hold anything a sender can write. */
  readonly name: string
  /** Octets, unpacked. */
  readonly size: number
  readonly compressedSize: number
  readonly method: 0 | 8
  readonly crc32: number
  /** Octets from the start of the archive. */
  readonly headerOffset: number
}

export type ZipFault =
  | 'not-a-zip'
  | 'zip-too-many-entries'
  | 'zip-too-large'
  | 'zip-name-too-long'
  | 'zip-duplicate-name'
  | 'zip-encrypted'
  | 'zip-method'
  | 'zip-overlap'
  | 'zip-damaged'

export type ZipOutcome =
  | { readonly kind: 'ok'; readonly entries: readonly ZipEntry[] }
  | { readonly kind: 'unreadable'; readonly reason: ZipFault }

/** An entry's bytes are not what the directory says; found while or after they were read. */
export class ZipDamagedError extends Error {
  override readonly name = 'ZipDamagedError'
}

/** Lets yauzl read an archive that starts inside a file. */
class FileRangeReader extends RandomAccessReader {
  readonly #file: FileHandle
  readonly #source: FileSource

  constructor(file: FileHandle, source: FileSource) {
    super()
    this.#file = file
    this.#source = source
  }

  override _readStreamForRange(start: number, end: number): Readable {
    const base = this.#source.start
    return createReadStream(this.#source.path, { start: base + start, end: base + end - 1 })
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.#file.read(buffer, offset, length, this.#source.start + position).then(
      ({ bytesRead }) => callback(bytesRead < length ? new ZipDamagedError('truncated') : null, bytesRead),
      (error: Error) => callback(error),
    )
  }

  override close(callback: (error: Error | null) => void): void {
    this.#file.close().then(
      () => callback(null),
      (error: Error) => callback(error),
    )
  }
}

/**
 * The archive's entries in directory order. Unreadable: no archive, over a limit, encrypted, a method other than
 * stored or deflate, entries that overlap, a directory that does not end where the archive does, or two entries of one
 * name, unless the name is an attachment's (`_…`), which the reference writes twice when two files are called alike.
 */
export async function readZipEntries(source: ZipSource): Promise<ZipOutcome> {
  const zip = await ('path' in source ? openZipFile(source) : openZipBytes(source)).catch(
    (error: unknown) => {
      if (isDiskError(error)) throw error
      return undefined
    },
  )
  if (zip === undefined) return { kind: 'unreadable', reason: 'not-a-zip' }
  try {
    return await listEntries(zip)
  } finally {
    zip.close()
  }
}

const ZIP_OPTIONS = { decodeStrings: false, autoClose: false } as const

async function openZipFile(source: FileSource): Promise<ZipFile> {
  const file = await open(source.path)
  try {
    const { size } = await file.stat()
    const reader = new FileRangeReader(file, source)
    return await fromRandomAccessReaderPromise(reader, Math.max(0, size - source.start), ZIP_OPTIONS)
  } catch (error) {
    await file.close()
    throw error
  }
}

async function openZipBytes({ bytes, start }: Exclude<ZipSource, FileSource>): Promise<ZipFile> {
  const archive = bytes.subarray(start)
  return fromBufferPromise(Buffer.from(archive.buffer, archive.byteOffset, archive.length), ZIP_OPTIONS)
}

/** Tells our disk's faults from the sender's: only the operating system's errors name a call. */
function isDiskError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error
}

async function listEntries(zip: ZipFile): Promise<ZipOutcome> {
  if (zip.entryCount > MAX_ZIP_ENTRIES) return { kind: 'unreadable', reason: 'zip-too-many-entries' }
  // The type says boolean; it is where the next entry of the directory stands, so now the directory's start.
  const directoryStart = Number(zip.readEntryCursor)
  const entries: ZipEntry[] = []
  try {
    for await (const raw of zip.eachEntry()) {
      const fault = entryFault(raw)
      if (fault !== undefined) return { kind: 'unreadable', reason: fault }
      entries.push(toEntry(raw))
    }
  } catch (error) {
    if (isDiskError(error)) throw error
    return { kind: 'unreadable', reason: 'zip-damaged' }
  }
  const fault = directoryFault(zip) ?? archiveFault(entries, { bytes: zip.fileSize, directoryStart })
  return fault === undefined ? { kind: 'ok', entries } : { kind: 'unreadable', reason: fault }
}

function entryFault(raw: Entry): ZipFault | undefined {
  if (raw.isEncrypted()) return 'zip-encrypted'
  if (raw.compressionMethod !== STORED && raw.compressionMethod !== DEFLATED) return 'zip-method'
  if (raw.fileNameLength > MAX_NAME_BYTES) return 'zip-name-too-long'
  return undefined
}

function toEntry(raw: Entry): ZipEntry {
  return {
    name: decodeName(raw.fileNameRaw),
    size: raw.uncompressedSize,
    compressedSize: raw.compressedSize,
    method: raw.compressionMethod === STORED ? STORED : DEFLATED,
    crc32: raw.crc32,
    headerOffset: raw.relativeOffsetOfLocalHeader,
  }
}

/** UTF-8 first whatever the flag says; byte names of the reference come from Windows (CM message 1.6). */
function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}

/** The end record, without and with the ZIP64 records before it. */
const END_RECORD_BYTES = 22
const ZIP64_END_BYTES = 56 + 20

/** Readers that trust the count and readers that trust the directory's size must see the same entries. */
function directoryFault(zip: ZipFile): ZipFault | undefined {
  const rest = zip.fileSize - Number(zip.readEntryCursor) - END_RECORD_BYTES - zip.comment.length
  return rest === 0 || rest === ZIP64_END_BYTES ? undefined : 'zip-damaged'
}

const LOCAL_HEADER_BYTES = 30

function archiveFault(
  entries: readonly ZipEntry[],
  archive: { readonly bytes: number; readonly directoryStart: number },
): ZipFault | undefined {
  const unpacked = entries.reduce((sum, entry) => sum + entry.size, 0)
  const allowed = Math.max(FREE_EXPANSION_BYTES, archive.bytes * MAX_EXPANSION_RATIO)
  if (unpacked > Math.min(MAX_UNPACKED_BYTES, allowed)) return 'zip-too-large'
  if (overlaps(entries, archive.directoryStart)) return 'zip-overlap'
  const names = entries.map((entry) => entry.name).filter((name) => !name.startsWith('_'))
  return new Set(names).size < names.length ? 'zip-duplicate-name' : undefined
}

function overlaps(entries: readonly ZipEntry[], directoryStart: number): boolean {
  const byOffset = entries.toSorted((a, b) => a.headerOffset - b.headerOffset)
  return byOffset.some((entry, index) => {
    const next = byOffset[index + 1]?.headerOffset ?? directoryStart
    return entry.headerOffset + LOCAL_HEADER_BYTES + entry.compressedSize > next
  })
}

/** Called with the CRC-32 the bytes have, instead of throwing, when it is not the directory's. */
export type OnWrongChecksum = (checksum: number) => void

/**
 * The unpacked bytes of one entry, streamed. Throws `ZipDamagedError` when the local header, the size or the CRC-32
 * disagrees with the directory: the last two only at the end, so nothing may be trusted before it.
 */
export async function* readZipEntry(
  source: ZipSource,
  entry: ZipEntry,
  onWrongChecksum: OnWrongChecksum = refuseChecksum,
): AsyncGenerator<Uint8Array> {
  const start = await dataStart(source, entry)
  let size = 0
  let checksum = 0
  if (entry.compressedSize > 0) {
    for await (const chunk of unpack(source, entry, start)) {
      size += chunk.length
      if (size > entry.size) throw new ZipDamagedError(MORE_BYTES)
      checksum = crc32(chunk, checksum)
      yield chunk
    }
  }
  if (size !== entry.size) throw new ZipDamagedError('fewer bytes than the directory says')
  if (checksum !== entry.crc32) onWrongChecksum(checksum)
}

function refuseChecksum(): never {
  throw new ZipDamagedError('CRC-32 does not match')
}

const LOCAL_HEADER_SIGNATURE = 0x04034b50
const LOCAL_NAME_LENGTH_AT = 26
const LOCAL_EXTRA_LENGTH_AT = 28

async function dataStart(source: ZipSource, entry: ZipEntry): Promise<number> {
  return withSource(source, async (read) => {
    const headerStart = source.start + entry.headerOffset
    const header = await read(headerStart, LOCAL_HEADER_BYTES)
    if (header.length < LOCAL_HEADER_BYTES || header.readUInt32LE(0) !== LOCAL_HEADER_SIGNATURE) {
      throw new ZipDamagedError('no local header where the directory says')
    }
    const nameBytes = header.readUInt16LE(LOCAL_NAME_LENGTH_AT)
    const name = await read(headerStart + LOCAL_HEADER_BYTES, nameBytes)
    if (decodeName(name) !== entry.name) throw new ZipDamagedError('local and directory names differ')
    const extraBytes = header.readUInt16LE(LOCAL_EXTRA_LENGTH_AT)
    return headerStart + LOCAL_HEADER_BYTES + nameBytes + extraBytes
  })
}

async function* unpack(source: ZipSource, entry: ZipEntry, start: number): AsyncGenerator<Uint8Array> {
  const end = start + entry.compressedSize
  if (entry.method === STORED) {
    yield* sourceChunks(source, { start, end })
    return
  }
  if ('bytes' in source && entry.size <= MAX_AT_ONCE_BYTES) {
    yield inflateAtOnce(source.bytes.subarray(start, end), entry)
    return
  }
  const packed = Readable.from(sourceChunks(source, { start, end }))
  const inflate = createInflateRaw()
  // The error reaches the loop below through `inflate`; the callback only says that it is expected.
  pipeline(packed, inflate, () => undefined)
  try {
    yield* inflate
  } catch (cause) {
    if (isDiskError(cause)) throw cause
    throw new ZipDamagedError('cannot be unpacked', { cause })
  }
}

function inflateAtOnce(packed: Uint8Array, entry: ZipEntry): Uint8Array {
  try {
    // Room for one more than it should have: zero would mean no limit.
    return inflateRawSync(packed, { maxOutputLength: entry.size + 1 })
  } catch (cause) {
    const isLonger = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE'
    throw new ZipDamagedError(isLonger ? MORE_BYTES : 'cannot be unpacked', { cause })
  }
}

const MORE_BYTES = 'more bytes than the directory says'

/** One entry whole. Throws `ZipDamagedError` as `readZipEntry` does, and when it is longer than `maxBytes`. */
export async function readZipEntryBytes(
  source: ZipSource,
  entry: ZipEntry,
  options: { readonly maxBytes: number; readonly onWrongChecksum?: OnWrongChecksum },
): Promise<Buffer> {
  if (entry.size > options.maxBytes) throw new ZipDamagedError('longer than its kind may be')
  const chunks: Uint8Array[] = []
  for await (const chunk of readZipEntry(source, entry, options.onWrongChecksum)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

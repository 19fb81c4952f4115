import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, statfs, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ByteRange } from '../mail/message-index.ts'
import type { DirectoryLayout } from './database-file.ts'
import { DiskFullError } from './errors.ts'
import { ROW_ID_BYTES } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'
import { syncPath } from './sync-path.ts'
import { open as openSealed, openStream, type SealContext } from './vault.ts'

/**
 * Octets: larger messages are files, smaller ones rows, so that several share one commit (design 4: a new file and its
 * fsync cost six times a one-row commit here).
 */
export const MAX_INLINE_BYTES = 64 * 1024
/** Octets read from a file at a time. */
const READ_CHUNK_BYTES = 64 * 1024
/** Octets of the disk that new messages must leave, so that flags, EXPUNGE and the log of a checkpoint still fit. */
const RESERVED_DISK_BYTES = 8 * 1024 * 1024
const MODE_PRIVATE_FILE = 0o600
const FOLDER_DIGITS = 2
const BLOB_FILE_NAME = new RegExp(`^[0-9a-f]{${2 * ROW_ID_BYTES}}$`)

/** Throws DiskFullError unless `sizeBytes` more octets fit and the reserve is left. */
export async function requireDiskRoom(directory: string, sizeBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory)
  const availableBytes = bavail * bsize
  if (availableBytes < sizeBytes + RESERVED_DISK_BYTES) {
    throw new DiskFullError(`${availableBytes} octets are left on the disk of ${directory}`)
  }
}

/** Where the file of a blob lies. */
export function blobPath(layout: DirectoryLayout, blobId: Uint8Array): string {
  const name = Buffer.from(blobId).toString('hex')
  return join(layout.blobDirectory, name.slice(0, FOLDER_DIGITS), name)
}

/** Makes a written, fsynced file the file of a blob: durable when it resolves, visible to nobody before its row is. */
export async function placeBlobFile(
  layout: DirectoryLayout,
  spoolPath: string,
  blobId: Uint8Array,
): Promise<void> {
  const path = blobPath(layout, blobId)
  const created = await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await rename(spoolPath, path)
  await syncPath(dirname(path))
  if (created !== undefined) await syncPath(layout.blobDirectory)
}

/** A private new file in the spool directory. */
export function createSpoolFile(path: string): Promise<FileHandle> {
  return open(path, 'wx', MODE_PRIVATE_FILE)
}

/** Removes files of blobs whose rows are gone; one that is missing is no error. */
export async function removeBlobFiles(
  layout: DirectoryLayout,
  blobIds: readonly Uint8Array[],
): Promise<void> {
  for (const blobId of blobIds) await rm(blobPath(layout, blobId), { force: true })
}

/** At start, before anything is written: empties the spool and removes blob files without a row. Returns how many. */
export async function sweepOrphans(layout: DirectoryLayout, read: ReadConnection): Promise<number> {
  let removed = 0
  for (const name of await readdir(layout.spoolDirectory)) {
    await unlink(join(layout.spoolDirectory, name))
    removed += 1
  }
  for (const folder of await readdir(layout.blobDirectory)) {
    for (const name of await readdir(join(layout.blobDirectory, folder))) {
      // Anything else there was put there by somebody; it is not ours to remove.
      if (!BLOB_FILE_NAME.test(name)) continue
      if (read.get('SELECT 1 FROM blobs WHERE id = ?', Buffer.from(name, 'hex')) !== undefined) continue
      await unlink(join(layout.blobDirectory, folder, name))
      removed += 1
    }
  }
  return removed
}

interface BlobRow {
  readonly account_id: number
  readonly size: number
  readonly sealed_bytes: Uint8Array | null
}

/** Octets (in clear) of a blob and a way to read a range of them. */
export interface StoredBlob {
  readonly sizeBytes: number
  /** Octets `[start, end)`, cut at the end of the blob; the whole when left out. Fails when the file is gone or damaged. */
  read(range?: ByteRange): AsyncIterable<Uint8Array>
}

/** The bytes of a blob, or undefined when there is no such row. A short one is already read whole. */
export function findBlob(
  layout: DirectoryLayout,
  read: ReadConnection,
  blobId: Uint8Array,
): StoredBlob | undefined {
  const row = read.get<BlobRow>('SELECT account_id, size, sealed_bytes FROM blobs WHERE id = ?', blobId)
  if (row === undefined) return undefined
  const context: SealContext = { accountId: row.account_id, rowId: blobId, purpose: 'message' }
  const sizeBytes = row.size
  if (row.sealed_bytes === null) return fileBlob(blobPath(layout, blobId), context, sizeBytes)
  return inlineBlob(openSealed(context, row.sealed_bytes))
}

/** A blob held in memory. */
export function inlineBlob(bytes: Uint8Array): StoredBlob {
  return {
    sizeBytes: bytes.length,
    async *read(range = { start: 0, end: bytes.length }) {
      if (range.start < Math.min(range.end, bytes.length)) yield bytes.subarray(range.start, range.end)
    },
  }
}

/** A blob that is a sealed file. */
export function fileBlob(path: string, context: SealContext, sizeBytes: number): StoredBlob {
  return {
    sizeBytes,
    async *read(range = { start: 0, end: sizeBytes }) {
      const cut = { start: range.start, end: Math.min(range.end, sizeBytes) }
      if (cut.start >= cut.end) return
      const handle = await open(path, constants.O_RDONLY)
      try {
        yield* openStream(context, (start, end) => readFileRange(handle, start, end), cut)
      } finally {
        await handle.close()
      }
    },
  }
}

async function* readFileRange(handle: FileHandle, start: number, end: number): AsyncIterable<Uint8Array> {
  let position = start
  while (position < end) {
    const length = Math.min(READ_CHUNK_BYTES, end - position)
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(length), 0, length, position)
    if (bytesRead === 0) throw new Error(`message file ends at octet ${position}, ${end} expected`)
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

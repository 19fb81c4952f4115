import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobDraft } from './blob-rows.ts'
import {
  blobPath,
  createSpoolFile,
  fileBlob,
  inlineBlob,
  MAX_INLINE_BYTES,
  placeBlobFile,
  requireDiskRoom,
  type StoredBlob,
} from './blob-store.ts'
import type { DirectoryLayout } from './database-file.ts'
import { withDiskFull } from './errors.ts'
import { type AccountId, ROW_ID_BYTES } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'
import { type SealContext, StreamSealer, seal } from './vault.ts'

/** Octets written between two looks at the room that is left on the disk. */
const DISK_CHECK_BYTES = 8 * 1024 * 1024

/** A message on its way in: write, then exactly one of finish or discard. */
export interface SpoolSink {
  /** Octets so far. */
  readonly sizeBytes: number
  /** Resolves when the octets are taken (back-pressure). Rejects with DiskFullError; then only discard is left. */
  write(bytes: Uint8Array): Promise<void>
  /** Makes the octets durable (a file with its directory; short ones become durable with their row). */
  finish(): Promise<SpooledMessage>
  discard(): Promise<void>
}

/** Bytes that no row refers to yet; give `blob` to an operation, or discard it. */
export interface SpooledMessage {
  readonly blob: BlobDraft
  readonly sizeBytes: number
  /** SHA-256 of the octets, lower-case hex. */
  readonly sha256: string
  /** Octets of a range, or all; may be read any number of times. */
  read: StoredBlob['read']
  /** Removes the bytes unless a row refers to them: safe to call at any end. */
  discard(): Promise<void>
}

export interface SpoolOptions {
  readonly layout: DirectoryLayout
  readonly read: ReadConnection
  readonly randomBytes: (size: number) => Uint8Array
  readonly accountId: AccountId
  /** Octets that are announced; refused at once when they do not fit the disk. */
  readonly expectedBytes?: number
}

/** Begins a spooled message. Rejects with DiskFullError when there is no room for it. */
export async function beginSpool(options: SpoolOptions): Promise<SpoolSink> {
  await requireDiskRoom(options.layout.spoolDirectory, options.expectedBytes ?? 0)
  return new FileSpool(options)
}

class FileSpool implements SpoolSink {
  readonly #options: SpoolOptions
  readonly #context: SealContext
  readonly #sealer: StreamSealer
  readonly #hash: Hash = createHash('sha256')
  readonly #path: string
  #held: Uint8Array[] = []
  #file: FileHandle | undefined
  #sizeBytes = 0
  #uncheckedBytes = 0

  constructor(options: SpoolOptions) {
    this.#options = options
    const rowId = options.randomBytes(ROW_ID_BYTES)
    this.#context = { accountId: options.accountId, rowId, purpose: 'message' }
    this.#sealer = new StreamSealer(this.#context)
    this.#path = join(options.layout.spoolDirectory, Buffer.from(rowId).toString('hex'))
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  write(bytes: Uint8Array): Promise<void> {
    return withDiskFull(async () => {
      this.#hash.update(bytes)
      this.#sizeBytes += bytes.length
      if (this.#file !== undefined) return this.#append(this.#file, bytes)
      // A copy: the caller may use its buffer again.
      this.#held.push(Uint8Array.from(bytes))
      if (this.#sizeBytes > MAX_INLINE_BYTES) await this.#spill()
    })
  }

  finish(): Promise<SpooledMessage> {
    return withDiskFull(async () => {
      if (this.#file === undefined) return this.#finishInline()
      return this.#finishFile(this.#file)
    })
  }

  async discard(): Promise<void> {
    this.#held = []
    await this.#file?.close()
    this.#file = undefined
    await rm(this.#path, { force: true })
  }

  async #spill(): Promise<void> {
    this.#file = await createSpoolFile(this.#path)
    await this.#file.appendFile(this.#sealer.start())
    const held = Buffer.concat(this.#held)
    this.#held = []
    await this.#append(this.#file, held)
  }

  async #append(file: FileHandle, bytes: Uint8Array): Promise<void> {
    this.#uncheckedBytes += bytes.length
    if (this.#uncheckedBytes >= DISK_CHECK_BYTES) {
      await requireDiskRoom(this.#options.layout.spoolDirectory, bytes.length)
      this.#uncheckedBytes = 0
    }
    await file.appendFile(this.#sealer.push(bytes))
  }

  #finishInline(): SpooledMessage {
    const bytes = Buffer.concat(this.#held)
    this.#held = []
    const sealedBytes = seal(this.#context, bytes)
    return this.#spooled(inlineBlob(bytes), sealedBytes, async () => {})
  }

  async #finishFile(file: FileHandle): Promise<SpooledMessage> {
    const { layout, read } = this.#options
    const { rowId } = this.#context
    await file.appendFile(this.#sealer.finish())
    await file.sync()
    await file.close()
    this.#file = undefined
    await placeBlobFile(layout, this.#path, rowId)
    const path = blobPath(layout, rowId)
    return this.#spooled(fileBlob(path, this.#context, this.#sizeBytes), null, async () => {
      if (read.get('SELECT 1 FROM blobs WHERE id = ?', rowId) === undefined) await rm(path, { force: true })
    })
  }

  #spooled(stored: StoredBlob, sealedBytes: Uint8Array | null, discard: () => Promise<void>): SpooledMessage {
    const { accountId, rowId } = this.#context
    return {
      blob: { id: rowId, accountId, sizeBytes: this.#sizeBytes, sealedBytes },
      sizeBytes: this.#sizeBytes,
      sha256: this.#hash.digest('hex'),
      read: (range) => stored.read(range),
      discard,
    }
  }
}

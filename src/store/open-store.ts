import { type Clock, duration } from '../base/clock.ts'
import type { ByteRange, MessageIndex } from '../mail/message-index.ts'
import type { MessageDraft } from './blob-rows.ts'
import { findBlob, removeBlobFiles, sweepOrphans } from './blob-store.ts'
import {
  type DirectoryLayout,
  directoryLayout,
  openReadOnlyConnection,
  prepareDirectory,
} from './database-file.ts'
import { isDiskFull, StoreClosedError } from './errors.ts'
import { saveHighWater } from './high-water.ts'
import type { AccountId } from './ids.ts'
import { MailboxTracker } from './mailbox-tracker.ts'
import { sealIndex } from './message-index-columns.ts'
import type { OperationArgs, OperationResult, PublishedChange } from './operation.ts'
import type { Operations } from './operations.ts'
import { ReadConnection } from './read-connection.ts'
import { beginSpool, type SpooledMessage, type SpoolSink } from './spool.ts'
import { Writer } from './writer.ts'

/** How long the bytes of a removed message stay, so that a session that has not been told yet can finish reading. */
export const REMOVAL_GRACE_MS = 5 * duration.minute
/** How far the high-water mark may be behind. */
const HIGH_WATER_DELAY_MS = 10 * duration.second
/** Blobs of one sweep operation. */
const SWEEP_BATCH = 500

export interface StoreOptions {
  /** The data directory; made (0700) when it is not there. */
  readonly directory: string
  readonly clock: Clock
  readonly randomBytes: (size: number) => Uint8Array
  /** The writer thread died: everything waiting was rejected, nothing more can be written. */
  readonly onFailure: (error: Error) => void
}

/** Everything that is kept: one database and the message files of one data directory. */
export interface Store {
  readonly directory: string
  /** At this start an older copy of the database was found in place; tell the owner. */
  readonly isRestored: boolean
  /** The main thread's reading connection, for `<area>-queries.ts`. */
  readonly read: ReadConnection
  readonly tracker: MailboxTracker
  /** See `Writer.write`. */
  write<Name extends keyof Operations & string>(
    name: Name,
    args: OperationArgs<Operations, Name>,
  ): Promise<OperationResult<Operations, Name>>
  /** A sink for the bytes of one message; rejects with DiskFullError when `expectedBytes` do not fit. */
  beginSpool(accountId: AccountId, expectedBytes?: number): Promise<SpoolSink>
  /** What `insertMessage` takes: the spooled bytes with their index sealed. */
  draftMessage(spooled: SpooledMessage, index: MessageIndex): MessageDraft
  /** The octets of a blob or of a range; undefined when there is none. */
  readBlob(blobId: Uint8Array, range?: ByteRange): AsyncIterable<Uint8Array> | undefined
  /** Every committed change of every mailbox, in commit order; returns what ends it. The listener must not throw. */
  onChange(listener: (change: PublishedChange) => void): () => void
  /** Commits what was asked for and ends the writer thread. */
  close(): Promise<void>
}

/**
 * Opens the data directory, making or migrating what is needed. The caller holds its instance lock.
 * Throws DamagedDatabaseError, NewerDatabaseError or DiskFullError, whose messages name the cure.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { layout, isRestored } = prepareDirectory(options.directory, options.clock.now())
  const read = new ReadConnection(openReadOnlyConnection(layout.databasePath), layout.databasePath)
  const tracker = new MailboxTracker()
  try {
    await sweepOrphans(layout, read)
    const writer = await Writer.start<Operations>({
      databasePath: layout.databasePath,
      operationsUrl: new URL('./operations.ts', import.meta.url),
      clock: options.clock,
      randomBytes: options.randomBytes,
      publish: (changes) => tracker.publish(changes),
      onFailure: options.onFailure,
    })
    return new OpenedStore({ options, layout, isRestored, read, tracker, writer })
  } catch (error) {
    read.close()
    throw error
  }
}

/** For verbs that only read: the connection alone, beside a running bridge. The database must be there. */
export function openStoreForReading(directory: string): ReadConnection {
  const { databasePath } = directoryLayout(directory)
  return new ReadConnection(openReadOnlyConnection(databasePath), databasePath)
}

interface Parts {
  readonly options: StoreOptions
  readonly layout: DirectoryLayout
  readonly isRestored: boolean
  readonly read: ReadConnection
  readonly tracker: MailboxTracker
  readonly writer: Writer<Operations>
}

class OpenedStore implements Store {
  readonly #parts: Parts
  #cancelSweep: (() => void) | undefined
  #sweeping: Promise<void> = Promise.resolve()
  #cancelMark: (() => void) | undefined
  #marking: Promise<void> = Promise.resolve()
  #isClosed: boolean = false

  constructor(parts: Parts) {
    this.#parts = parts
    parts.tracker.watchAll(({ change }) => {
      this.#scheduleMark()
      if (change.kind === 'expunged' || change.kind === 'deleted') this.#scheduleSweep(REMOVAL_GRACE_MS)
    })
    // What an earlier run left to remove.
    this.#scheduleSweep(duration.minute)
  }

  get directory(): string {
    return this.#parts.options.directory
  }

  get isRestored(): boolean {
    return this.#parts.isRestored
  }

  get read(): ReadConnection {
    return this.#parts.read
  }

  get tracker(): MailboxTracker {
    return this.#parts.tracker
  }

  write<Name extends keyof Operations & string>(
    name: Name,
    args: OperationArgs<Operations, Name>,
  ): Promise<OperationResult<Operations, Name>> {
    return this.#parts.writer.write(name, args)
  }

  beginSpool(accountId: AccountId, expectedBytes = 0): Promise<SpoolSink> {
    const { layout, read, options } = this.#parts
    return beginSpool({ layout, read, randomBytes: options.randomBytes, accountId, expectedBytes })
  }

  draftMessage(spooled: SpooledMessage, index: MessageIndex): MessageDraft {
    return { blob: spooled.blob, ...sealIndex(spooled.blob, index) }
  }

  readBlob(blobId: Uint8Array, range?: ByteRange): AsyncIterable<Uint8Array> | undefined {
    return findBlob(this.#parts.layout, this.read, blobId)?.read(range)
  }

  onChange(listener: (change: PublishedChange) => void): () => void {
    return this.tracker.watchAll(listener)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelSweep?.()
    await this.#sweeping
    this.#cancelMark?.()
    await this.#parts.writer.close()
    await this.#marking
    await saveHighWater(this.#parts.layout.highWaterPath, this.read).catch((error: unknown) => {
      this.#report(error)
    })
    this.read.close()
  }

  /** Behind by some seconds on purpose: a mark for each commit would double its cost. */
  #scheduleMark(): void {
    if (this.#cancelMark !== undefined || this.#isClosed) return
    this.#cancelMark = this.#parts.options.clock.after(HIGH_WATER_DELAY_MS, () => {
      this.#cancelMark = undefined
      this.#marking = this.#marking
        .then(() => saveHighWater(this.#parts.layout.highWaterPath, this.read))
        .catch((error: unknown) => this.#report(error))
    })
  }

  /** A full disk is told to who writes; a closed store to nobody. */
  #report(error: unknown): void {
    if (error instanceof StoreClosedError || isDiskFull(error)) return
    this.#parts.options.onFailure(error instanceof Error ? error : new Error(String(error)))
  }

  #scheduleSweep(delayMs: number): void {
    if (this.#cancelSweep !== undefined || this.#isClosed) return
    this.#cancelSweep = this.#parts.options.clock.after(delayMs, () => {
      this.#cancelSweep = undefined
      this.#sweeping = this.#sweep().catch((error: unknown) => this.#report(error))
    })
  }

  /** Removes what was released a grace ago, and comes again while something waits for its time. */
  async #sweep(): Promise<void> {
    const releasedBeforeMs = this.#parts.options.clock.now() - REMOVAL_GRACE_MS
    const { fileIds, sweptCount } = await this.write('sweepBlobs', { releasedBeforeMs, limit: SWEEP_BATCH })
    await removeBlobFiles(this.#parts.layout, fileIds)
    if (this.#isClosed) return
    const waiting = this.read.get<{ first: number | null }>(
      'SELECT min(released_at_ms) AS first FROM blobs WHERE reference_count = 0',
    )
    if (sweptCount === SWEEP_BATCH) this.#scheduleSweep(0)
    else if (waiting?.first != null)
      this.#scheduleSweep(Math.max(waiting.first - releasedBeforeMs, duration.second))
  }
}

import { readdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../base/clock.ts'
import type { BlockKey } from '../cm/ids.ts'
import type {
  BlockType,
  BlockUpload,
  CmBlocks,
  FindOptions,
  FoundBlock,
  PayloadSink,
  StoreOutcome,
} from '../cm/server/port.ts'
import { CmAccountTable } from './cm-blocks-accounts.ts'
import { UploadBatches } from './cm-blocks-batches.ts'
import { type CmBlocksLayout, openBlocksDatabase } from './cm-blocks-database.ts'
import type { CmBlockOperations, PendingUpload } from './cm-blocks-operations.ts'
import { packUploads } from './cm-blocks-packing.ts'
import { PayloadFile } from './cm-blocks-payload.ts'
import { CmBlockReader } from './cm-blocks-reader.ts'
import { oldestDatesMs, typeCode } from './cm-blocks-schema.ts'
import { CmRelayQueue } from './cm-relay.ts'
import { withDiskFull } from './errors.ts'
import { Writer } from './writer.ts'

/** Random bytes of a payload file's name. */
const PAYLOAD_NAME_BYTES = 16
/** Rows deleted in one transaction: uploads do not wait behind an old directory. */
const PRUNE_BATCH = 500

export interface CmBlockStoreOptions {
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  /** Milliseconds after its Date at which a record of a type has expired (CM wire 2.2, 9.8). */
  readonly maxAges: Readonly<Record<BlockType, number>>
  /** The writer thread died: nothing more can be stored. */
  readonly onFailure: (error: Error) => void
}

interface Parts {
  readonly directory: string
  readonly database: DatabaseSync
  readonly layout: CmBlocksLayout
  readonly writer: Writer<CmBlockOperations>
}

/**
 * The blocks and accounts of a CM server in a directory of its own: `blocks.db`, and a file per large payload. A writer
 * thread commits the uploads of all connections together (design 12). One process per directory; whoever opens it
 * holds the lock.
 */
export class CmBlockStore implements CmBlocks {
  readonly accounts: CmAccountTable
  /** What waits to be sent to other servers. */
  readonly relay: CmRelayQueue
  readonly #options: CmBlockStoreOptions
  readonly #parts: Parts
  readonly #reader: CmBlockReader
  readonly #batches: UploadBatches

  private constructor(parts: Parts, options: CmBlockStoreOptions) {
    const { directory, database, layout, writer } = parts
    this.#parts = parts
    this.#options = options
    this.accounts = new CmAccountTable({
      database,
      write: (name, args) => writer.write(name, args),
      randomBytes: options.randomBytes,
    })
    this.relay = new CmRelayQueue({
      database,
      write: (name, args) => writer.write(name, args),
      directory: join(directory, 'relay'),
      randomBytes: options.randomBytes,
    })
    this.#reader = new CmBlockReader(database, {
      payloadDirectory: layout.payloadDirectory,
      oldestMs: (type) => this.#oldestMs()[typeCode(type)] ?? 0,
    })
    this.#batches = new UploadBatches((uploads) =>
      writer.write('storeBlocks', { packed: packUploads(uploads), oldestMs: this.#oldestMs() }),
    )
  }

  /** Opens or makes the directory and sweeps payload files no row names. Throws as `openBlocksDatabase`. */
  static async open(directory: string, options: CmBlockStoreOptions): Promise<CmBlockStore> {
    const { database, layout } = openBlocksDatabase(directory)
    try {
      sweepPayloads(database, layout.payloadDirectory)
      const writer = await Writer.start<CmBlockOperations>({
        databasePath: layout.databasePath,
        operationsUrl: new URL('./cm-blocks-operations.ts', import.meta.url),
        clock: options.clock,
        randomBytes: options.randomBytes,
        publish: () => undefined,
        onFailure: options.onFailure,
      })
      return new CmBlockStore({ directory, database, layout, writer }, options)
    } catch (error) {
      database.close()
      throw error
    }
  }

  async find(key: BlockKey, options: FindOptions = {}): Promise<FoundBlock | undefined> {
    return this.#reader.find(key, options)
  }

  /** Rejects as `Writer.write`. */
  store(upload: BlockUpload): Promise<StoreOutcome> {
    return this.#store({ ...upload, payloadBytes: upload.payload?.length ?? 0 })
  }

  async beginPayload(): Promise<PayloadSink> {
    const name = Buffer.from(this.#options.randomBytes(PAYLOAD_NAME_BYTES)).toString('hex')
    return withDiskFull(() =>
      PayloadFile.create(this.#parts.layout.payloadDirectory, name, (upload) => this.#store(upload)),
    )
  }

  /** Deletes the records that have expired, and their files; returns how many (CM wire 9.8). */
  async prune(): Promise<number> {
    const oldestMs = this.#oldestMs()
    for (let pruned = 0; ; ) {
      const batch = await this.#parts.writer.write('pruneBlocks', { oldestMs, limit: PRUNE_BATCH })
      for (const name of batch.files) await this.#removePayload(name)
      pruned += batch.records
      if (batch.records < PRUNE_BATCH) return pruned
    }
  }

  /** Commits what was asked for so far. */
  async close(): Promise<void> {
    await this.#parts.writer.close()
    this.#parts.database.close()
  }

  async #store(upload: PendingUpload): Promise<StoreOutcome> {
    const { kind, added, releasedFile } = await this.#batches.add(upload)
    if (releasedFile !== undefined) await this.#removePayload(releasedFile)
    if (kind !== 'stored') return { kind }
    return { kind, added: added.flatMap((index) => upload.records[index]?.text ?? []) }
  }

  #oldestMs(): readonly number[] {
    return oldestDatesMs(this.#options.maxAges, this.#options.clock.now())
  }

  async #removePayload(name: string): Promise<void> {
    await rm(join(this.#parts.layout.payloadDirectory, name), { force: true })
  }
}

function sweepPayloads(database: DatabaseSync, directory: string): void {
  const known = database.prepare('SELECT 1 FROM records WHERE payload_file = ?')
  for (const name of readdirSync(directory)) {
    if (known.get(name) === undefined) rmSync(join(directory, name), { force: true })
  }
}

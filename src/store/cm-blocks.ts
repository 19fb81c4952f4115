import { readdirSync, rmSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { type Clock, duration } from '../base/clock.ts'
import type { BlockKey } from '../cm/ids.ts'
import type { BlockType, CmBlocks, MergeDecision, PayloadSink, StoredBlock } from '../cm/server/port.ts'
import { CmAccountTable } from './cm-blocks-accounts.ts'
import { inTransaction, openBlocksDatabase } from './cm-blocks-database.ts'
import { PayloadFile } from './cm-blocks-payload.ts'
import { CmRelayQueue } from './cm-relay.ts'
import { DiskFullError, isDiskFull } from './errors.ts'

/** The order in which types answer a GET of one key (CM wire S2). */
const TYPES_BY_PREFERENCE: readonly BlockType[] = [
  'key-announcement',
  'address-claim',
  'message-announcement',
  'acknowledgment',
  'data',
]
/** Octets read of a payload at once. */
const READ_CHUNK_BYTES = 64 * 1024
/** Random bytes of a payload file's name. */
const PAYLOAD_NAME_BYTES = 16
/** Rows deleted in one transaction: the loop is not held up by an old directory. */
const PRUNE_BATCH = 200
/** Milliseconds a block may be dated ahead when it is taken (CM wire S11): it lives that much longer. */
const FUTURE_MARGIN_MS = duration.day

export interface CmBlockStoreOptions {
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
}

interface BlockRow {
  readonly text: string
  readonly payload_bytes: number
  readonly payload_file: string | null
}

/**
 * The blocks and accounts of a CM server in a directory of its own: `blocks.db`, and a file per payload. Each write is
 * one small transaction, durable when it resolves (design 12). One process per directory; whoever opens it holds the lock.
 */
export class CmBlockStore implements CmBlocks {
  readonly accounts: CmAccountTable
  /** What waits to be sent to other servers. */
  readonly relay: CmRelayQueue
  readonly #database: DatabaseSync
  readonly #payloadDirectory: string
  readonly #options: CmBlockStoreOptions

  /** Opens or makes the directory and sweeps payload files no row names. Throws as `openBlocksDatabase`. */
  constructor(directory: string, options: CmBlockStoreOptions) {
    const { database, layout } = openBlocksDatabase(directory)
    this.#database = database
    this.#payloadDirectory = layout.payloadDirectory
    this.#options = options
    this.accounts = new CmAccountTable(database, options.randomBytes)
    this.relay = new CmRelayQueue(database, { directory, randomBytes: options.randomBytes })
    this.#sweepPayloads()
  }

  async get(type: BlockType, key: BlockKey): Promise<StoredBlock | undefined> {
    const row = this.#row(type, key)
    return row && { type, text: row.text, payloadBytes: row.payload_bytes }
  }

  async getAny(key: BlockKey): Promise<StoredBlock | undefined> {
    for (const type of TYPES_BY_PREFERENCE) {
      const block = await this.get(type, key)
      if (block !== undefined) return block
    }
    return undefined
  }

  async *readPayload(key: BlockKey): AsyncGenerator<Uint8Array> {
    const file = await this.#openPayload(key)
    if (file !== undefined) yield* file.createReadStream({ highWaterMark: READ_CHUNK_BYTES })
  }

  async update(
    type: BlockType,
    key: BlockKey,
    merge: (stored: string | undefined) => MergeDecision,
  ): Promise<MergeDecision> {
    return this.#write(() => {
      const decision = merge(this.#row(type, key)?.text)
      if (decision.kind === 'stored') {
        this.#put({ type, key, text: decision.text, payloadBytes: 0, payloadFile: null })
      }
      return decision
    })
  }

  async beginPayload(): Promise<PayloadSink> {
    const name = Buffer.from(this.#options.randomBytes(PAYLOAD_NAME_BYTES)).toString('hex')
    return PayloadFile.create(this.#payloadDirectory, name, async (arrived) => {
      const { key, payloadFile, payloadBytes } = arrived
      const replaced = this.#row('data', key)?.payload_file
      const decision = this.#write(() => {
        const accepted = arrived.accept(this.#row('data', key)?.text)
        if (accepted.kind === 'stored') {
          this.#put({ type: 'data', key, text: accepted.text, payloadBytes, payloadFile })
        }
        return accepted
      })
      if (decision.kind === 'stored' && replaced) await this.#removePayload(replaced)
      return decision
    })
  }

  /**
   * Deletes blocks that were stored longer ago than their type's age, milliseconds; returns how many. A stored block
   * is refreshed by every merge, and no block is taken that is older than its age, so nothing valid is deleted.
   * Source: CM wire 9.8.
   */
  async prune(maxAgeMs: Readonly<Record<BlockType, number>>): Promise<number> {
    let pruned = 0
    for (const type of TYPES_BY_PREFERENCE) {
      const beforeMs = this.#options.clock.now() - maxAgeMs[type] - FUTURE_MARGIN_MS
      for (let batch = this.#pruneBatch(type, beforeMs); batch.length > 0; ) {
        for (const name of batch) if (name !== null) await this.#removePayload(name)
        pruned += batch.length
        batch = batch.length < PRUNE_BATCH ? [] : this.#pruneBatch(type, beforeMs)
      }
    }
    return pruned
  }

  close(): void {
    this.#database.close()
  }

  #pruneBatch(type: BlockType, beforeMs: number): (string | null)[] {
    return this.#write(() => {
      const rows = this.#database
        .prepare('SELECT key, payload_file FROM blocks WHERE type = ? AND stored_at_ms < ? LIMIT ?')
        .all(type, beforeMs, PRUNE_BATCH)
      const remove = this.#database.prepare('DELETE FROM blocks WHERE type = ? AND key = ?')
      for (const row of rows) remove.run(type, String(row.key))
      return rows.map((row) => (typeof row.payload_file === 'string' ? row.payload_file : null))
    })
  }

  #row(type: BlockType, key: BlockKey): BlockRow | undefined {
    const statement = this.#database.prepare(
      'SELECT text, payload_bytes, payload_file FROM blocks WHERE type = ? AND key = ?',
    )
    return statement.get(type, key) as unknown as BlockRow | undefined
  }

  #put(block: {
    type: BlockType
    key: BlockKey
    text: string
    payloadBytes: number
    payloadFile: string | null
  }): void {
    this.#database
      .prepare(
        `INSERT INTO blocks (type, key, text, payload_bytes, payload_file, stored_at_ms) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (type, key) DO UPDATE SET text = excluded.text, payload_bytes = excluded.payload_bytes,
         payload_file = excluded.payload_file, stored_at_ms = excluded.stored_at_ms`,
      )
      .run(
        block.type,
        block.key,
        block.text,
        block.payloadBytes,
        block.payloadFile,
        this.#options.clock.now(),
      )
  }

  #write<T>(work: () => T): T {
    try {
      return inTransaction(this.#database, work)
    } catch (error) {
      throw isDiskFull(error) ? new DiskFullError('no space left on the disk', { cause: error }) : error
    }
  }

  /** A payload can be replaced between the row and the file; the new row names the new file. */
  async #openPayload(key: BlockKey): Promise<FileHandle | undefined> {
    for (let previous: string | null | undefined; ; ) {
      const name = this.#row('data', key)?.payload_file
      if (name === null || name === undefined) return undefined
      try {
        return await open(join(this.#payloadDirectory, name), 'r')
      } catch (error) {
        if (name === previous) throw error
        previous = name
      }
    }
  }

  async #removePayload(name: string): Promise<void> {
    await rm(join(this.#payloadDirectory, name), { force: true })
  }

  #sweepPayloads(): void {
    const known = this.#database.prepare('SELECT 1 FROM blocks WHERE payload_file = ?')
    for (const name of readdirSync(this.#payloadDirectory)) {
      if (known.get(name) === undefined) rmSync(join(this.#payloadDirectory, name), { force: true })
    }
  }
}

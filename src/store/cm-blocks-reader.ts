import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { BlockKey } from '../cm/ids.ts'
import { BLOCK_TYPES, type BlockType, type FindOptions, type FoundBlock } from '../cm/server/port.ts'
import { typeCode } from './cm-blocks-schema.ts'

/** Octets read of a payload file at once. */
const READ_CHUNK_BYTES = 64 * 1024

/** Reads blocks on the main thread's connection: each statement sees what was committed, none is held open. */
export class CmBlockReader {
  readonly #payloadDirectory: string
  readonly #oldestMs: (type: BlockType) => number
  readonly #known: StatementSync
  readonly #slot: StatementSync
  readonly #text: StatementSync
  readonly #payload: StatementSync

  /** `oldestMs`: the Date before which a record of the type has expired now. */
  constructor(
    database: DatabaseSync,
    place: { readonly payloadDirectory: string; readonly oldestMs: (type: BlockType) => number },
  ) {
    this.#payloadDirectory = place.payloadDirectory
    this.#oldestMs = place.oldestMs
    this.#known = database.prepare('SELECT id FROM records WHERE key = ? AND type = ? LIMIT 1')
    // Left to itself, SQLite goes through all records of the type by date, which are in order already.
    this.#slot = database.prepare(
      `SELECT id, payload_bytes FROM records INDEXED BY records_by_slot
       WHERE key = ? AND type = ? AND date_ms >= ? ORDER BY date_ms, identity`,
    )
    this.#text = database.prepare('SELECT text FROM records WHERE id = ?')
    this.#payload = database.prepare('SELECT payload, payload_file FROM records WHERE id = ?')
  }

  find(key: BlockKey, { type, sinceMs = 0, mayRead }: FindOptions): FoundBlock | undefined {
    const keyBytes = Buffer.from(key, 'hex')
    for (const candidate of type === undefined ? BLOCK_TYPES : [type]) {
      const known = this.#known.get(keyBytes, typeCode(candidate))
      if (known === undefined) continue
      if (mayRead?.(candidate, () => this.#textOf(Number(known.id)) ?? '') === false) return undefined
      const since = candidate === 'message-announcement' ? sinceMs : 0
      const fromMs = Math.max(since, this.#oldestMs(candidate))
      const rows = this.#slot.all(keyBytes, typeCode(candidate), fromMs)
      const [first] = rows
      if (first === undefined) continue
      const ids = rows.map(({ id }) => Number(id))
      return {
        type: candidate,
        payloadBytes: Number(first.payload_bytes),
        records: () => this.#readTexts(ids),
        payload: () => this.#readPayload(Number(first.id)),
      }
    }
    return undefined
  }

  /** Of a record that was pruned meanwhile nothing is given. */
  async *#readTexts(ids: readonly number[]): AsyncGenerator<string> {
    for (const id of ids) {
      const text = this.#textOf(id)
      if (text !== undefined) yield text
    }
  }

  #textOf(id: number): string | undefined {
    const row = this.#text.get(id)
    return row === undefined ? undefined : String(row.text)
  }

  async *#readPayload(id: number): AsyncGenerator<Uint8Array> {
    const row = this.#payload.get(id)
    if (row?.payload instanceof Uint8Array) yield row.payload
    else yield* (await this.#openFile(id))?.createReadStream({ highWaterMark: READ_CHUNK_BYTES }) ?? []
  }

  /** The file can be replaced between the row and the opening; the new row names the new file. */
  async #openFile(id: number): Promise<FileHandle | undefined> {
    for (let previous: unknown; ; ) {
      const name = this.#payload.get(id)?.payload_file
      if (typeof name !== 'string') return undefined
      try {
        return await open(join(this.#payloadDirectory, name), 'r')
      } catch (error) {
        if (name === previous) throw error
        previous = name
      }
    }
  }
}

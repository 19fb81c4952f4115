import type { DatabaseSync } from 'node:sqlite'
import type { BlockKey } from '../cm/ids.ts'
import { BLOCK_TYPES, type BlockType } from '../cm/server/port.ts'
import { openBlocksForReading } from './cm-blocks-database.ts'
import { oldestDatesMs, typeCode } from './cm-blocks-schema.ts'

/** How many records of a type have expired, with the octets of their text and payload. */
export interface ExpiredRecords {
  readonly type: BlockType
  readonly records: number
  readonly bytes: number
}

/** Looks at the blocks of a CM server, also while it runs: a connection that only reads. */
export class CmBlocksUsage {
  readonly #database: DatabaseSync

  /** Throws as `openBlocksForReading`. */
  constructor(directory: string) {
    this.#database = openBlocksForReading(directory)
  }

  /** The records of a type, those of one key next to each other; read as they are asked for. */
  *rows(
    type: BlockType,
  ): Generator<{ readonly key: BlockKey; readonly text: string; readonly payloadBytes: number }> {
    const statement = this.#database.prepare(
      'SELECT lower(hex(key)) AS key, text, payload_bytes FROM records WHERE type = ? ORDER BY records.key',
    )
    for (const row of statement.iterate(typeCode(type))) {
      yield {
        key: String(row.key) as BlockKey,
        text: String(row.text),
        payloadBytes: Number(row.payload_bytes),
      }
    }
  }

  /** What a pruning at `nowMs` would remove, by type. */
  expired(maxAges: Readonly<Record<BlockType, number>>, nowMs: number): readonly ExpiredRecords[] {
    const statement = this.#database.prepare(
      `SELECT count(*) AS records, coalesce(sum(octet_length(text) + payload_bytes), 0) AS bytes
       FROM records WHERE type = ? AND date_ms < ?`,
    )
    const oldestMs = oldestDatesMs(maxAges, nowMs)
    return BLOCK_TYPES.map((type) => {
      const row = statement.get(typeCode(type), oldestMs[typeCode(type)] ?? 0)
      return { type, records: Number(row?.records), bytes: Number(row?.bytes) }
    })
  }

  close(): void {
    this.#database.close()
  }
}

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { link, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import type { BlockKey } from '../cm/ids.ts'
import { SMALL_PAYLOAD_BYTES } from '../cm/server/port.ts'
import type {
  Delivery,
  ProxiedBlockToSend,
  ProxiedItem,
  ProxiedQueue,
  QueueRoom,
  Retry,
} from '../cm/server/relay/queue-port.ts'
import type { RelayStorage } from './cm-relay.ts'
import { syncPath } from './sync-path.ts'

/** Random octets of a payload file's name. */
const PAYLOAD_NAME_BYTES = 16

/** Blocks of STORE PROXY in the server's database; a large payload is a file of its own beside it (CM wire 9.4). */
export class CmRelayItems implements ProxiedQueue {
  readonly #database: DatabaseSync
  readonly #storage: RelayStorage

  /** Sweeps payload files no row names. */
  constructor(storage: RelayStorage) {
    this.#database = storage.database
    this.#storage = storage
    mkdirSync(storage.directory, { recursive: true, mode: 0o700 })
    const known = this.#database.prepare('SELECT 1 FROM relay_items WHERE payload_file = ?')
    for (const name of readdirSync(storage.directory)) {
      if (known.get(name) === undefined) rmSync(join(storage.directory, name), { force: true })
    }
  }

  /** A payload in a file is durable, name and all, before the row that names it (design 4). */
  async add(item: ProxiedItem, room: QueueRoom): Promise<'queued' | 'full'> {
    const isSmall = item.payload !== undefined && item.payload.bytes <= SMALL_PAYLOAD_BYTES
    const payload = item.payload !== undefined && isSmall ? await readFile(item.payload.path) : null
    const payloadFile = item.payload === undefined || isSmall ? null : await this.#takeOver(item.payload.path)
    let outcome: 'queued' | 'known' | 'full' | undefined
    try {
      outcome = await this.#storage.write('relayAddProxied', { item, payload, payloadFile, room })
      return outcome === 'full' ? 'full' : 'queued'
    } finally {
      if (outcome !== 'queued' && payloadFile !== null) await this.#removeFiles([payloadFile])
    }
  }

  /** From one target to the next by the index: what it costs does not grow with what waits for them. */
  dueTargets(nowMs: number): readonly string[] {
    return this.#database
      .prepare(
        `WITH RECURSIVE waiting (target) AS (
           SELECT min(target) FROM relay_deliveries
           UNION ALL
           SELECT (SELECT min(target) FROM relay_deliveries WHERE target > waiting.target)
           FROM waiting WHERE waiting.target IS NOT NULL)
         SELECT waiting.target FROM waiting LEFT JOIN relay_targets USING (target)
         WHERE waiting.target IS NOT NULL AND coalesce(relay_targets.next_ms, 0) <= ?1
         AND (SELECT min(next_ms) FROM relay_deliveries WHERE target = waiting.target) <= ?1`,
      )
      .all(nowMs)
      .map((row) => String(row.target))
  }

  dueDeliveries(target: string, nowMs: number, limit: number): readonly Delivery[] {
    return this.#database
      .prepare(
        `SELECT item_id, failures FROM relay_deliveries WHERE target = ? AND next_ms <= ?
         ORDER BY failures, is_data DESC, item_id LIMIT ?`,
      )
      .all(target, nowMs, limit)
      .map((row) => ({ itemId: Number(row.item_id), failures: Number(row.failures) }))
  }

  load(itemId: number): ProxiedBlockToSend | undefined {
    const row = this.#database.prepare('SELECT * FROM relay_items WHERE item_id = ?').get(itemId)
    if (row === undefined) return undefined
    return { key: String(row.key) as BlockKey, text: String(row.text), payload: this.#payloadOf(row) }
  }

  async delivered(itemId: number, target: string): Promise<void> {
    await this.#removeFiles(await this.#storage.write('relayDelivered', { itemId, target }))
  }

  delay(itemId: number, target: string, retry: Retry): Promise<void> {
    return this.#storage.write('relayDelay', { itemId, target, retry })
  }

  async expire(nowMs: number): Promise<number> {
    const isDue = this.#database.prepare('SELECT 1 FROM relay_items WHERE expires_ms <= ? LIMIT 1')
    if (isDue.get(nowMs) === undefined) return 0
    const { count, files } = await this.#storage.write('relayExpire', { nowMs })
    await this.#removeFiles(files)
    return count
  }

  nextDueMs(nowMs: number): number | undefined {
    const row = this.#database
      .prepare(
        `SELECT min(due_ms) AS due_ms FROM (
           SELECT min(next_ms) AS due_ms FROM relay_deliveries WHERE next_ms > ?1
           UNION ALL
           SELECT min(next_ms) FROM relay_targets WHERE next_ms > ?1)`,
      )
      .get(nowMs)
    return typeof row?.due_ms === 'number' ? row.due_ms : undefined
  }

  #payloadOf(row: Readonly<Record<string, SQLOutputValue>>): ProxiedBlockToSend['payload'] {
    if (row.payload instanceof Uint8Array) return row.payload
    if (typeof row.payload_file !== 'string') return undefined
    return { path: join(this.#storage.directory, row.payload_file), bytes: Number(row.payload_bytes) }
  }

  /** A second name for the file: no octet is copied, and the first name may go. */
  async #takeOver(path: string): Promise<string> {
    const { directory, randomBytes } = this.#storage
    const name = Buffer.from(randomBytes(PAYLOAD_NAME_BYTES)).toString('hex')
    await syncPath(path)
    await link(path, join(directory, name))
    await syncPath(directory)
    return name
  }

  async #removeFiles(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(join(this.#storage.directory, name), { force: true })
  }
}

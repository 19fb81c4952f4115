import {
  type BlockRecord,
  type BlockUpload,
  MAX_SLOT_RECORDS,
  MAX_SLOT_TEXT_BYTES,
  RECORD_SEPARATORS,
  replaces,
} from '../cm/server/port.ts'
import { accountOperations } from './cm-account-rows.ts'
import { type PackedUploads, unpackUploads } from './cm-blocks-packing.ts'
import { typeCode } from './cm-blocks-schema.ts'
import { queueReplica, relayOperations } from './cm-relay-rows.ts'
import type { WriteTransaction } from './operation.ts'

/** The writes of a CM server's block store, run in the writer thread: many uploads, one COMMIT, one answer. */

/** An upload as it crosses to the writer thread. */
export interface PendingUpload extends BlockUpload {
  readonly payloadBytes: number
  /** Name of the file of a payload that came in a file; durable already. */
  readonly payloadFile?: string | undefined
}

/** What became of one upload: the places of the records that were stored. */
export interface UploadResult {
  readonly kind: 'stored' | 'unchanged' | 'full'
  readonly added: readonly number[]
  /** A payload file no row names any more. */
  readonly releasedFile?: string | undefined
}

interface Slot {
  readonly key: Uint8Array
  readonly type: number
}

/** A record that is to be written, and the row it replaces. */
interface Change {
  readonly record: BlockRecord
  readonly index: number
  readonly rowId: number | undefined
  readonly rowBytes: number
  readonly rowFile: string | undefined
}

function storeBlocks(
  tx: WriteTransaction,
  {
    packed,
    oldestMs,
  }: {
    readonly packed: PackedUploads
    /** By place in BLOCK_TYPES: records dated before it have expired. */
    readonly oldestMs: readonly number[]
  },
): UploadResult[] {
  return unpackUploads(packed).map((upload) => storeUpload(tx, upload, oldestMs[typeCode(upload.type)] ?? 0))
}

function storeUpload(tx: WriteTransaction, upload: PendingUpload, oldestMs: number): UploadResult {
  const slot = { key: Buffer.from(upload.key, 'hex'), type: typeCode(upload.type) }
  const wanted = changesOf(tx, upload, slot)
  if (wanted.length === 0) return { kind: 'unchanged', added: [] }
  const isMany = RECORD_SEPARATORS[upload.type] !== ''
  const changes = isMany ? takeRoom(tx, slot, { upload, changes: wanted, oldestMs }) : wanted
  if (changes === undefined) return { kind: 'full', added: [] }
  for (const change of changes) write(tx, slot, { change, upload })
  queueForPeer(tx, upload, changes)
  const added = changes.map(({ index }) => index)
  return {
    kind: 'stored',
    added,
    releasedFile: changes.find(({ rowFile }) => rowFile !== undefined)?.rowFile,
  }
}

/** Of records with one identity the newest counts, however often it comes. */
function changesOf(tx: WriteTransaction, { records }: PendingUpload, slot: Slot): readonly Change[] {
  const found = tx.sql(
    `SELECT id, date_ms, octet_length(text) AS bytes, payload_file FROM records
     WHERE key = ? AND type = ? AND identity = ?`,
  )
  const changes = new Map<string, Change>()
  for (const [index, record] of records.entries()) {
    const row = found.get(slot.key, slot.type, Buffer.from(record.identity, 'hex'))
    const storedMs = changes.get(record.identity)?.record.dateMs ?? (row && Number(row.date_ms))
    if (!replaces(record, storedMs)) continue
    changes.set(record.identity, {
      record,
      index,
      rowId: row && Number(row.id),
      rowBytes: Number(row?.bytes ?? 0),
      rowFile: typeof row?.payload_file === 'string' ? row.payload_file : undefined,
    })
  }
  return [...changes.values()]
}

interface SlotTotals {
  readonly records: number
  readonly bytes: number
}

interface RoomRequest {
  readonly upload: PendingUpload
  readonly changes: readonly Change[]
  /** Records dated before it have expired. */
  readonly oldestMs: number
}

/** The upload's changes when the slot has room for them, if need be after what has expired is gone; else undefined. */
function takeRoom(
  tx: WriteTransaction,
  slot: Slot,
  { upload, changes, oldestMs }: RoomRequest,
): readonly Change[] | undefined {
  const totals = withChanges(totalsOf(tx, slot), changes)
  if (!isTooMuch(totals)) {
    saveTotals(tx, slot, totals)
    return changes
  }
  // Each record is removed once, so that refusing costs next to nothing however often somebody tries.
  if (removeExpired(tx, slot.type, { beforeMs: oldestMs, limit: MAX_SLOT_RECORDS }).records === 0)
    return undefined
  // A row that was to be replaced may be gone, too.
  return takeRoom(tx, slot, { upload, changes: changesOf(tx, upload, slot), oldestMs })
}

function saveTotals(tx: WriteTransaction, slot: Slot, { records, bytes }: SlotTotals): void {
  tx.sql(
    `INSERT INTO slots (key, type, records, text_bytes) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (key, type) DO UPDATE SET records = ?3, text_bytes = ?4`,
  ).run(slot.key, slot.type, records, bytes)
}

function withChanges({ records, bytes }: SlotTotals, changes: readonly Change[]): SlotTotals {
  return {
    records: records + changes.filter(({ rowId }) => rowId === undefined).length,
    bytes: changes.reduce(
      (sum, { record, rowBytes }) => sum + Buffer.byteLength(record.text) - rowBytes,
      bytes,
    ),
  }
}

function isTooMuch({ records, bytes }: SlotTotals): boolean {
  return records > MAX_SLOT_RECORDS || bytes > MAX_SLOT_TEXT_BYTES
}

function totalsOf(tx: WriteTransaction, slot: Slot): SlotTotals {
  const row = tx
    .sql('SELECT records, text_bytes FROM slots WHERE key = ? AND type = ?')
    .get(slot.key, slot.type)
  if (row !== undefined) return { records: Number(row.records), bytes: Number(row.text_bytes) }
  const counted = countSlot(tx, slot)
  saveTotals(tx, slot, counted)
  return counted
}

function countSlot(tx: WriteTransaction, slot: Slot): SlotTotals {
  const row = tx
    .sql(
      'SELECT count(*) AS records, sum(octet_length(text)) AS bytes FROM records WHERE key = ? AND type = ?',
    )
    .get(slot.key, slot.type)
  return { records: Number(row?.records ?? 0), bytes: Number(row?.bytes ?? 0) }
}

/** An updated row keeps its id, so that a GET that is on its way through a mailbox misses nothing. */
function write(
  tx: WriteTransaction,
  slot: Slot,
  { change, upload }: { readonly change: Change; readonly upload: PendingUpload },
): void {
  const { record, rowId } = change
  const payload = [upload.payloadBytes, upload.payload ?? null, upload.payloadFile ?? null] as const
  if (rowId === undefined) {
    tx.sql(
      `INSERT INTO records (key, type, identity, date_ms, text, payload_bytes, payload, payload_file)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(slot.key, slot.type, Buffer.from(record.identity, 'hex'), record.dateMs, record.text, ...payload)
    return
  }
  tx.sql(
    'UPDATE records SET date_ms = ?, text = ?, payload_bytes = ?, payload = ?, payload_file = ? WHERE id = ?',
  ).run(record.dateMs, record.text, ...payload, rowId)
}

/** The peer merges what is new into what it has; data is read from here when it is sent (CM wire 9.3). */
function queueForPeer(
  tx: WriteTransaction,
  { type, key, replicateFor }: PendingUpload,
  changes: readonly Change[],
): void {
  if (replicateFor === undefined) return
  const texts = changes.map(({ record }) => record.text)
  queueReplica(tx, { type, key, userId: replicateFor, text: texts.join(RECORD_SEPARATORS[type]) })
}

interface Removed {
  readonly records: number
  /** Payload files no row names any more. */
  readonly files: readonly string[]
}

/** Removes at most `limit` expired records. */
function pruneBlocks(
  tx: WriteTransaction,
  { oldestMs, limit }: { readonly oldestMs: readonly number[]; readonly limit: number },
): Removed {
  const files: string[] = []
  let records = 0
  for (const [type, beforeMs] of oldestMs.entries()) {
    const removed = removeExpired(tx, type, { beforeMs, limit: limit - records })
    files.push(...removed.files)
    records += removed.records
  }
  return { records, files }
}

/** Removes at most `limit` records of a type dated before `beforeMs`, the oldest first. */
function removeExpired(
  tx: WriteTransaction,
  type: number,
  { beforeMs, limit }: { readonly beforeMs: number; readonly limit: number },
): Removed {
  const expired = tx
    .sql('SELECT id, key, payload_file FROM records WHERE type = ? AND date_ms < ? ORDER BY date_ms LIMIT ?')
    .all(type, beforeMs, limit)
  for (const row of expired) {
    tx.sql('DELETE FROM records WHERE id = ?').run(Number(row.id))
    tx.sql('DELETE FROM slots WHERE key = ? AND type = ?').run(row.key as Uint8Array, type)
  }
  const files = expired.flatMap(({ payload_file: name }) => (typeof name === 'string' ? [name] : []))
  return { records: expired.length, files }
}

/** The writes of `blocks.db` by name; the writer thread imports this table. */
export const operations = { storeBlocks, pruneBlocks, ...accountOperations, ...relayOperations }

export type CmBlockOperations = typeof operations

import {
  type BlockRecord,
  type BlockUpload,
  MAX_SLOT_RECORDS,
  MAX_SLOT_TEXT_BYTES,
  RECORD_SEPARATORS,
  replaces,
} from '../cm/server/port.ts'
import { accountOperations } from './cm-account-rows.ts'
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
    uploads,
    oldestMs,
  }: {
    readonly uploads: readonly PendingUpload[]
    /** By place in BLOCK_TYPES: records dated before it have expired. */
    readonly oldestMs: readonly number[]
  },
): UploadResult[] {
  return uploads.map((upload) => storeUpload(tx, upload, oldestMs[typeCode(upload.type)] ?? 0))
}

function storeUpload(tx: WriteTransaction, upload: PendingUpload, oldestMs: number): UploadResult {
  const slot = { key: Buffer.from(upload.key, 'hex'), type: typeCode(upload.type) }
  const changes = changesOf(tx, upload, slot)
  if (changes.length === 0) return { kind: 'unchanged', added: [] }
  if (RECORD_SEPARATORS[upload.type] !== '' && !takeRoom(tx, slot, { changes, oldestMs })) {
    return { kind: 'full', added: [] }
  }
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

/** Counts the changes in when the slot has room for them, after what has expired in it made room; else false. */
function takeRoom(
  tx: WriteTransaction,
  slot: Slot,
  { changes, oldestMs }: { readonly changes: readonly Change[]; readonly oldestMs: number },
): boolean {
  let totals = withChanges(totalsOf(tx, slot), changes)
  if (isTooMuch(totals)) {
    tx.sql('DELETE FROM records WHERE key = ? AND type = ? AND date_ms < ?').run(
      slot.key,
      slot.type,
      oldestMs,
    )
    totals = withChanges(countSlot(tx, slot), changes)
  }
  if (isTooMuch(totals)) return false
  tx.sql(
    `INSERT INTO slots (key, type, records, text_bytes) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (key, type) DO UPDATE SET records = ?3, text_bytes = ?4`,
  ).run(slot.key, slot.type, totals.records, totals.bytes)
  return true
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
  if (row === undefined) return countSlot(tx, slot)
  return { records: Number(row.records), bytes: Number(row.text_bytes) }
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

/** Removes at most `limit` expired records; returns how many, and the payload files no row names any more. */
function pruneBlocks(
  tx: WriteTransaction,
  { oldestMs, limit }: { readonly oldestMs: readonly number[]; readonly limit: number },
): { readonly records: number; readonly files: readonly string[] } {
  const files: string[] = []
  let records = 0
  const expired = tx.sql(
    'SELECT id, key, payload_file FROM records WHERE type = ? AND date_ms < ? ORDER BY date_ms LIMIT ?',
  )
  for (const [type, beforeMs] of oldestMs.entries()) {
    for (const row of expired.all(type, beforeMs, limit - records)) {
      tx.sql('DELETE FROM records WHERE id = ?').run(Number(row.id))
      tx.sql('DELETE FROM slots WHERE key = ? AND type = ?').run(row.key as Uint8Array, type)
      if (typeof row.payload_file === 'string') files.push(row.payload_file)
      records += 1
    }
  }
  return { records, files }
}

/** The writes of `blocks.db` by name; the writer thread imports this table. */
export const operations = { storeBlocks, pruneBlocks, ...accountOperations, ...relayOperations }

export type CmBlockOperations = typeof operations

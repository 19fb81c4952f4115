import type { DatabaseSync } from 'node:sqlite'
import { BLOCK_TYPES, type BlockType } from '../cm/server/port.ts'

/** Blocks as rows, one a record: a mailbox of thousands of announcements grows by one row, not by a new text. */
const RECORD_TABLES = `
CREATE TABLE records (
  -- Ascending: the bytes of new rows lie together, whatever their keys are.
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  -- Place in BLOCK_TYPES: the lowest answers a GET.
  type INTEGER NOT NULL,
  -- MessageHash or claiming key id; the key itself where a block is one record.
  identity BLOB NOT NULL,
  date_ms INTEGER NOT NULL,
  text TEXT NOT NULL,
  payload_bytes INTEGER NOT NULL,
  -- Data: the payload here, or the name of its file in the payload directory.
  payload BLOB,
  payload_file TEXT
) STRICT;
CREATE UNIQUE INDEX records_by_slot ON records (key, type, identity);
CREATE INDEX records_by_date ON records (type, date_ms);
CREATE UNIQUE INDEX records_by_payload_file ON records (payload_file) WHERE payload_file IS NOT NULL;
CREATE TABLE slots (
  -- What a slot of many records holds, so that a limit costs no count; without a row it is counted anew.
  key BLOB NOT NULL,
  type INTEGER NOT NULL,
  records INTEGER NOT NULL,
  text_bytes INTEGER NOT NULL,
  PRIMARY KEY (key, type)
) STRICT, WITHOUT ROWID;
`

/** The column `type` of a block type. */
export function typeCode(type: BlockType): number {
  return BLOCK_TYPES.indexOf(type)
}

/** By type code, the Date before which records have expired: keys end at their age, everything else after it (CM wire 2.2). */
export function oldestDatesMs(
  maxAges: Readonly<Record<BlockType, number>>,
  nowMs: number,
): readonly number[] {
  return BLOCK_TYPES.map((type) => nowMs - maxAges[type] + (type === 'key-announcement' ? 1 : 0))
}

/** Turns the table of whole blocks of the first release into rows of records. */
export function splitBlocksIntoRecords(database: DatabaseSync): void {
  database.exec(RECORD_TABLES)
  const insert = database.prepare(
    `INSERT OR IGNORE INTO records (key, type, identity, date_ms, text, payload_bytes, payload_file)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const blocks = database.prepare('SELECT type, key, text, payload_bytes, payload_file FROM blocks')
  for (const row of blocks.iterate()) {
    const [type, key] = [String(row.type) as BlockType, String(row.key)]
    for (const record of splitRecords(type, String(row.text))) {
      const identity = Buffer.from(record.identity ?? key, 'hex')
      const payloadFile = row.payload_file === null ? null : String(row.payload_file)
      const slot = [Buffer.from(key, 'hex'), typeCode(type), identity]
      insert.run(...slot, record.dateMs, record.text, Number(row.payload_bytes), payloadFile)
    }
  }
  database.exec('DROP TABLE blocks')
}

interface OldRecord {
  readonly text: string
  readonly dateMs: number
  readonly identity: string | undefined
}

/** Where one record ends and what names it, in texts that were judged before they were stored. */
const OLD_FORMS: Readonly<
  Partial<Record<BlockType, { readonly separator: RegExp; readonly identity: RegExp }>>
> = {
  'message-announcement': { separator: /^nextmessage\n/gim, identity: /^messagehash: ([0-9a-f]{40})$/gim },
  'address-claim': { separator: /^nextclaim\n/gim, identity: /^keyid: ([0-9a-f]{40})$/gim },
}

/** The records of a block of the first release; what has no date that could be read is left out, it had expired. */
function splitRecords(type: BlockType, text: string): OldRecord[] {
  const form = OLD_FORMS[type]
  const parts = form === undefined ? [text] : text.split(form.separator)
  return parts.flatMap((part) => {
    const dates = [...part.matchAll(/^date: (\S+)$/gim)].map((match) => Date.parse(match[1] ?? ''))
    const dateMs = type === 'data' || type === 'key-announcement' ? dates[0] : dates.at(-1)
    if (dateMs === undefined || !Number.isFinite(dateMs)) return []
    const identity = form && [...part.matchAll(form.identity)].at(-1)?.[1]?.toLowerCase()
    return [{ text: part, dateMs, identity }]
  })
}

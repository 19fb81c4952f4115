import { readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import type { DatabaseSync } from 'node:sqlite'
import type { ReadConnection } from './read-connection.ts'

/**
 * The UIDs and MODSEQs ever served, in a file beside the database that backups leave out (design 4). Where it is ahead
 * of the database, an older copy was put back: then every mailbox is lifted above what clients remember, so that no UID
 * means two messages. It is written some seconds after the commits it reports and can only be behind the database,
 * never ahead by itself.
 */
export interface HighWater {
  /** The last UIDVALIDITY given out. */
  readonly uidValidity: number
  /** By UIDVALIDITY, which names a mailbox for ever. */
  readonly mailboxes: Readonly<Record<string, { readonly uidNext: number; readonly modSeq: number }>>
}

/** What may have been served after the file was last written. */
const SLACK = 1000
/** UIDs that are reported as vanished; a mailbox that lost more gets a new UIDVALIDITY. */
const MAX_VANISHED_UIDS = 100_000

/** Undefined when there is no file (a new directory). Throws for one that cannot be read or understood. */
export function loadHighWater(path: string): HighWater | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (isHighWater(parsed)) return parsed
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new Error(`${path} cannot be read; remove it only if no backup was put back`, { cause: error })
  }
  throw new Error(`${path} is not a high-water mark; remove it only if no backup was put back`)
}

function isHighWater(value: unknown): value is HighWater {
  if (typeof value !== 'object' || value === null) return false
  const { uidValidity, mailboxes } = value as Record<string, unknown>
  return typeof uidValidity === 'number' && typeof mailboxes === 'object' && mailboxes !== null
}

interface NumbersRow {
  readonly id: number
  readonly uid_validity: number
  readonly uid_next: number
  readonly highest_modseq: number
}

const SELECT_NUMBERS = 'SELECT id, uid_validity, uid_next, highest_modseq FROM mailboxes'

/** Writes the mark of the committed state: whole or not at all. */
export async function saveHighWater(path: string, read: ReadConnection): Promise<void> {
  const counter = read.get<{ value: number }>("SELECT value FROM counters WHERE name = 'uid_validity'")
  const rows = read.all<NumbersRow>(SELECT_NUMBERS)
  const mark: HighWater = {
    uidValidity: counter?.value ?? 0,
    mailboxes: Object.fromEntries(
      rows.map((row) => [row.uid_validity, { uidNext: row.uid_next, modSeq: row.highest_modseq }]),
    ),
  }
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(mark)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

/**
 * Lifts UIDNEXT and MODSEQ of every mailbox above the mark when the database is older than it; gives a new UIDVALIDITY
 * to mailboxes the mark does not know. True when that was needed.
 */
export function liftAboveHighWater(database: DatabaseSync, mark: HighWater, nowMs: number): boolean {
  const rows = database.prepare(SELECT_NUMBERS).all() as unknown as NumbersRow[]
  const counter = database.prepare("SELECT value FROM counters WHERE name = 'uid_validity'").get()
  const isOlder = rows.some((row) => {
    const served = mark.mailboxes[row.uid_validity]
    return served !== undefined && (served.uidNext > row.uid_next || served.modSeq > row.highest_modseq)
  })
  if (!isOlder && Number(counter?.value) >= mark.uidValidity) return false
  database.exec('BEGIN IMMEDIATE')
  try {
    database
      .prepare("UPDATE counters SET value = max(value, ?, ?) WHERE name = 'uid_validity'")
      .run(mark.uidValidity, Math.floor(nowMs / 1000))
    for (const row of rows) lift(database, row, mark.mailboxes[row.uid_validity])
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
  return true
}

function lift(
  database: DatabaseSync,
  row: NumbersRow,
  served: HighWater['mailboxes'][string] | undefined,
): void {
  if (served === undefined || served.uidNext - row.uid_next > MAX_VANISHED_UIDS) {
    database.exec("UPDATE counters SET value = value + 1 WHERE name = 'uid_validity'")
    database
      .prepare(
        "UPDATE mailboxes SET uid_validity = (SELECT value FROM counters WHERE name = 'uid_validity') WHERE id = ?",
      )
      .run(row.id)
    return
  }
  const uidNext = Math.max(served.uidNext, row.uid_next) + SLACK
  const modSeq = Math.max(served.modSeq, row.highest_modseq) + SLACK
  database
    .prepare('UPDATE mailboxes SET uid_next = ?, highest_modseq = ? WHERE id = ?')
    .run(uidNext, modSeq, row.id)
  // Flags may have changed since: every client with a newer MODSEQ is told all of them again.
  database.prepare('UPDATE messages SET modseq = ? WHERE mailbox_id = ?').run(modSeq, row.id)
  // Messages that came after the copy was made are gone.
  database
    .prepare(
      `WITH RECURSIVE vanished (uid) AS (SELECT ?1 UNION ALL SELECT uid + 1 FROM vanished WHERE uid + 1 < ?2)
       INSERT INTO expunged_messages (mailbox_id, uid, modseq, blob_id) SELECT ?3, uid, ?4, x'' FROM vanished`,
    )
    .run(row.uid_next, uidNext, row.id, modSeq)
}

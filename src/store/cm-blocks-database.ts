import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { splitBlocksIntoRecords } from './cm-blocks-schema.ts'
import { RELAY_TABLES } from './cm-relay-schema.ts'
import { openConnection, openReadOnlyConnection } from './database-file.ts'
import { DamagedDatabaseError, DiskFullError, isDamaged, isDiskFull, NewerDatabaseError } from './errors.ts'

/** Where the parts of a CM server's directory lie. */
export interface CmBlocksLayout {
  readonly databasePath: string
  /** Payloads of data blocks, one file each, named by random bytes. */
  readonly payloadDirectory: string
}

/** The database in a CM server's directory. */
export const BLOCKS_DATABASE_FILE = 'blocks.db'
const MODE_PRIVATE_FILE = 0o600

const FIRST_TABLES = `
CREATE TABLE blocks (
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  text TEXT NOT NULL,
  payload_bytes INTEGER NOT NULL,
  -- Name in the payload directory; NULL for text blocks.
  payload_file TEXT,
  stored_at_ms INTEGER NOT NULL,
  PRIMARY KEY (type, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX blocks_by_payload ON blocks (payload_file) WHERE payload_file IS NOT NULL;
CREATE INDEX blocks_by_age ON blocks (type, stored_at_ms);
CREATE TABLE auth_keys (
  -- scrypt of the key under the salt in settings: the key itself is nowhere.
  key_hash BLOB PRIMARY KEY,
  user_id TEXT NOT NULL,
  from_file INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
`

/** There are no blocks to read, or none this release reads as they are; the message is one clear line. */
export class MissingBlocksError extends Error {
  override readonly name = 'MissingBlocksError'
}

/** One step of the schema: SQL, or what SQL alone cannot do. */
type SchemaStep = string | ((database: DatabaseSync) => void)

/** Steps of the schema in order; `blocks.db`'s PRAGMA user_version counts them. Appended to only, never edited. */
const STEPS: readonly SchemaStep[] = [FIRST_TABLES, RELAY_TABLES, splitBlocksIntoRecords]

/**
 * Makes or opens the database of a CM server. Throws DamagedDatabaseError, NewerDatabaseError or DiskFullError;
 * payload files without a database are damage, never a new start.
 */
export function openBlocksDatabase(directory: string): { database: DatabaseSync; layout: CmBlocksLayout } {
  const layout = {
    databasePath: join(directory, BLOCKS_DATABASE_FILE),
    payloadDirectory: join(directory, 'payloads'),
  }
  mkdirSync(layout.payloadDirectory, { recursive: true, mode: 0o700 })
  const size = existsSync(layout.databasePath) ? statSync(layout.databasePath).size : 0
  if (size === 0 && readdirSync(layout.payloadDirectory).length > 0) {
    throw new DamagedDatabaseError(layout.databasePath, 'it is missing or empty, but there are payload files')
  }
  // Auth keys wait in it for the peer; SQLite gives its log and index files the mode of the database.
  closeSync(openSync(layout.databasePath, 'a', MODE_PRIVATE_FILE))
  chmodSync(layout.databasePath, MODE_PRIVATE_FILE)
  try {
    const database = openConnection(layout.databasePath)
    try {
      migrate(database, layout.databasePath)
    } catch (error) {
      database.close()
      throw error
    }
    return { database, layout }
  } catch (error) {
    if (isDiskFull(error)) throw new DiskFullError('no space left on the disk', { cause: error })
    if (!isDamaged(error)) throw error
    throw new DamagedDatabaseError(layout.databasePath, String(error), { cause: error })
  }
}

/**
 * The database of a CM server, for reading beside whoever writes. Throws MissingBlocksError or
 * NewerDatabaseError.
 */
export function openBlocksForReading(directory: string): DatabaseSync {
  const path = join(directory, BLOCKS_DATABASE_FILE)
  if (!existsSync(path)) throw new MissingBlocksError(`${directory}: there is no CM server`)
  const database = openReadOnlyConnection(path)
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
  if (version === STEPS.length) return database
  database.close()
  if (version > STEPS.length) throw new NewerDatabaseError(path, version, STEPS.length)
  throw new MissingBlocksError(
    `${path} is of an older release; start the server once, which brings it up to date`,
  )
}

function migrate(database: DatabaseSync, path: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
  if (version > STEPS.length) throw new NewerDatabaseError(path, version, STEPS.length)
  for (const [index, step] of STEPS.entries()) {
    if (index < version) continue
    inTransaction(database, () => {
      if (typeof step === 'string') database.exec(step)
      else step(database)
      database.exec(`PRAGMA user_version = ${index + 1}`)
    })
  }
}

/** Runs `work` in one transaction: all of it is durable when this returns, or none of it. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

import { closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { DamagedDatabaseError, DiskFullError, isDamaged, isDiskFull } from './errors.ts'
import { liftAboveHighWater, loadHighWater } from './high-water.ts'
import { migrate } from './migrations.ts'

/** Milliseconds a statement waits for another process's lock (a CLI verb that reads while we write). */
const BUSY_TIMEOUT_MS = 5000
/** Octets: the write-ahead log is cut back to this after a checkpoint. */
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024
/** Octets: files up to this are checked whole at start; larger ones would break the start budget (design 14) and report damage when it is met. */
const MAX_CHECKED_BYTES = 128 * 1024 * 1024

const DATABASE_FILE = 'bridge.db'
const MODE_PRIVATE_DIRECTORY = 0o700
const MODE_PRIVATE_FILE = 0o600

/** Where the parts of a data directory lie. */
export interface DirectoryLayout {
  readonly databasePath: string
  /** Message files, in folders by the first two digits of their id. */
  readonly blobDirectory: string
  /** Files that are not yet a blob; emptied at start. */
  readonly spoolDirectory: string
  /** See high-water.ts. */
  readonly highWaterPath: string
}

export interface PreparedDirectory {
  readonly layout: DirectoryLayout
  /** An older copy of the database was put back; its mailboxes were lifted above what clients remember. */
  readonly isRestored: boolean
}

export function directoryLayout(directory: string): DirectoryLayout {
  return {
    databasePath: join(directory, DATABASE_FILE),
    blobDirectory: join(directory, 'blobs'),
    spoolDirectory: join(directory, 'spool'),
    highWaterPath: join(directory, 'high-water.json'),
  }
}

/** A connection with the settings every writing connection has (design 3). */
export function openConnection(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true })
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = FULL')
  database.exec(`PRAGMA journal_size_limit = ${MAX_JOURNAL_BYTES}`)
  return database
}

/** A connection that cannot write. */
export function openReadOnlyConnection(path: string): DatabaseSync {
  return new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, readOnly: true })
}

/**
 * Makes the directory and its database when there is none, checks and migrates one that is there.
 * Throws DamagedDatabaseError, NewerDatabaseError or DiskFullError; an existing directory that lost its database is
 * damaged, never new.
 */
export function prepareDirectory(directory: string, nowMs: number): PreparedDirectory {
  const layout = directoryLayout(directory)
  for (const path of [directory, layout.blobDirectory, layout.spoolDirectory]) {
    mkdirSync(path, { recursive: true, mode: MODE_PRIVATE_DIRECTORY })
  }
  refuseLostDatabase(layout)
  // SQLite gives its log and index files the mode of the database.
  closeSync(openSync(layout.databasePath, 'a', MODE_PRIVATE_FILE))
  try {
    return { layout, isRestored: prepareDatabase(layout, nowMs) }
  } catch (error) {
    if (isDiskFull(error)) throw new DiskFullError('no space left on the disk', { cause: error })
    if (!isDamaged(error)) throw error
    const detail = error instanceof Error ? error.message : String(error)
    throw new DamagedDatabaseError(layout.databasePath, detail, { cause: error })
  }
}

/** Message files or a mark without a database, or an empty file in its place: the mail would look like an empty mailbox. */
function refuseLostDatabase(layout: DirectoryLayout): void {
  const size = existsSync(layout.databasePath) ? statSync(layout.databasePath).size : 0
  if (size > 0) return
  if (readdirSync(layout.blobDirectory).length > 0 || existsSync(layout.highWaterPath)) {
    throw new DamagedDatabaseError(layout.databasePath, 'it is missing or empty, but there was one here')
  }
}

function prepareDatabase({ databasePath, highWaterPath }: DirectoryLayout, nowMs: number): boolean {
  const database = openConnection(databasePath)
  try {
    checkIntegrity(database, databasePath)
    migrate(database, { path: databasePath, nowMs })
    const mark = loadHighWater(highWaterPath)
    return mark !== undefined && liftAboveHighWater(database, mark, nowMs)
  } finally {
    database.close()
  }
}

function checkIntegrity(database: DatabaseSync, path: string): void {
  if (statSync(path).size > MAX_CHECKED_BYTES) return
  const found = database.prepare('PRAGMA quick_check(1)').get()
  if (found?.quick_check !== 'ok') throw new DamagedDatabaseError(path, String(found?.quick_check))
}

import type { DatabaseSync } from 'node:sqlite'
import { NewerDatabaseError } from './errors.ts'
import { MAIL_TABLES } from './migrations/0001-mail.ts'
import { BRIDGE_TABLES } from './migrations/0002-bridge.ts'
import { NETWORK_TABLES } from './migrations/0003-network.ts'

/** One step of the schema. Steps are only ever appended; a released one is never edited. */
interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

const MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'mail', sql: MAIL_TABLES },
  { version: 2, name: 'bridge', sql: BRIDGE_TABLES },
  { version: 3, name: 'network', sql: NETWORK_TABLES },
]

/** The schema version this release writes. */
export const SCHEMA_VERSION = MIGRATIONS.length

/**
 * Brings the database to SCHEMA_VERSION, each step in a transaction of its own; forward only.
 * Throws NewerDatabaseError for a database of a later release (data untouched).
 */
export function migrate(database: DatabaseSync, options: { path: string; nowMs: number }): void {
  const found = schemaVersion(database)
  if (found > SCHEMA_VERSION) throw new NewerDatabaseError(options.path, found, SCHEMA_VERSION)
  for (const migration of MIGRATIONS.slice(found)) apply(database, migration, options.nowMs)
}

function schemaVersion(database: DatabaseSync): number {
  const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'").get()
  if (table === undefined) return 0
  const row = database.prepare('SELECT max(version) AS version FROM schema_migrations').get()
  return Number(row?.version ?? 0)
}

function apply(database: DatabaseSync, migration: Migration, nowMs: number): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    database.exec(migration.sql)
    database
      .prepare('INSERT INTO schema_migrations (version, name, applied_at_ms) VALUES (?, ?, ?)')
      .run(migration.version, migration.name, nowMs)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

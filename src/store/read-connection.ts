import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { DamagedDatabaseError, isDamaged } from './errors.ts'

/** Most prepared statements kept; query texts are constants, so this is never reached in practice. */
const MAX_CACHED_STATEMENTS = 500

/**
 * The main thread's own connection, for reading only. Calls are synchronous and short: bound every result by LIMIT or
 * by batches. `Row` says what the columns are; SQLite's STRICT tables keep that promise.
 */
export class ReadConnection {
  readonly #database: DatabaseSync
  readonly #path: string
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync, path: string) {
    this.#database = database
    this.#path = path
  }

  /** The first row, or undefined. */
  get<Row>(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#run(() => this.sql(sql).get(...values) as Row | undefined)
  }

  /** All rows. */
  all<Row>(sql: string, ...values: readonly SQLInputValue[]): Row[] {
    return this.#run(() => this.sql(sql).all(...values) as Row[])
  }

  /** Runs synchronous reads that must see one and the same state. */
  snapshot<T>(reads: () => T): T {
    if (this.#database.isTransaction) return reads()
    this.#run(() => this.#database.exec('BEGIN'))
    try {
      return reads()
    } finally {
      this.#database.exec('COMMIT')
    }
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  #run<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!isDamaged(error)) throw error
      throw new DamagedDatabaseError(this.#path, error instanceof Error ? error.message : '', {
        cause: error,
      })
    }
  }

  /** A prepared statement, cached. Use constant texts only; values go in as parameters. */
  sql(sql: string): StatementSync {
    const cached = this.#statements.get(sql)
    if (cached !== undefined) return cached
    if (this.#statements.size >= MAX_CACHED_STATEMENTS) this.#statements.clear()
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

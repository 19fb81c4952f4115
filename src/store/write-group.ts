import { createHash } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { isDamaged, isDiskFull } from './errors.ts'
import { ROW_ID_BYTES } from './ids.ts'
import type { OperationTable, PublishedChange, WriteTransaction } from './operation.ts'

/** One queued write as it crosses to the writer thread. */
export interface QueuedWrite {
  readonly id: number
  readonly name: string
  readonly args: unknown
  readonly nowMs: number
  /** 32 random bytes of the caller's generator, from which the operation's ids are drawn. */
  readonly seed: Uint8Array
}

/** An error as it crosses back: structured clone would lose class and codes. */
export interface WriteFailure {
  readonly kind: 'disk-full' | 'damaged' | 'failed'
  readonly message: string
  readonly stack: string
}

export type WriteReply =
  | { readonly id: number; readonly kind: 'done'; readonly result: unknown }
  | { readonly id: number; readonly kind: 'error'; readonly failure: WriteFailure }

/** What one COMMIT made durable. */
export interface CommittedGroup {
  readonly replies: readonly WriteReply[]
  readonly changes: readonly PublishedChange[]
}

/** Turns any thrown value into plain data. */
function writeFailure(error: unknown): WriteFailure {
  const kind = isDiskFull(error) ? 'disk-full' : isDamaged(error) ? 'damaged' : 'failed'
  if (!(error instanceof Error)) return { kind, message: String(error), stack: '' }
  return { kind, message: error.message, stack: error.stack ?? '' }
}

/** Runs groups of writes on one connection: one transaction a group, one SAVEPOINT an operation. */
export class WriteGroupRunner {
  readonly #database: DatabaseSync
  readonly #operations: OperationTable
  readonly #statements = new Map<string, StatementSync>()

  constructor(database: DatabaseSync, operations: OperationTable) {
    this.#database = database
    this.#operations = operations
  }

  /** Commits the group; returns replies in the order of the writes. Never throws for a failing operation. */
  run(writes: readonly QueuedWrite[]): CommittedGroup {
    try {
      return this.#runInOneTransaction(writes)
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      const [only, ...others] = writes
      if (only !== undefined && others.length === 0) {
        return { replies: [{ id: only.id, kind: 'error', failure: writeFailure(error) }], changes: [] }
      }
      return this.#runOneByOne(writes)
    }
  }

  /** After the loss of a whole group (COMMIT refused, or SQLite rolled back by itself): each alone, so that only the culprit fails. */
  #runOneByOne(writes: readonly QueuedWrite[]): CommittedGroup {
    const groups = writes.map((write) => this.run([write]))
    return {
      replies: groups.flatMap((group) => group.replies),
      changes: groups.flatMap((group) => group.changes),
    }
  }

  #runInOneTransaction(writes: readonly QueuedWrite[]): CommittedGroup {
    const replies: WriteReply[] = []
    const changes: PublishedChange[] = []
    this.#database.exec('BEGIN IMMEDIATE')
    for (const write of writes) replies.push(this.#runInSavepoint(write, changes))
    this.#database.exec('COMMIT')
    return { replies, changes }
  }

  #runInSavepoint(write: QueuedWrite, changes: PublishedChange[]): WriteReply {
    const own: PublishedChange[] = []
    this.#database.exec('SAVEPOINT operation')
    try {
      const operation = Object.hasOwn(this.#operations, write.name) ? this.#operations[write.name] : undefined
      if (operation === undefined) throw new Error(`no operation named ${write.name}`)
      const result = operation(this.#transaction(write, own), write.args as never)
      this.#database.exec('RELEASE operation')
      changes.push(...own)
      return { id: write.id, kind: 'done', result }
    } catch (error) {
      // A full disk or an I/O error makes SQLite roll back everything: then the whole group is lost, not this one.
      if (!this.#database.isTransaction) throw error
      this.#database.exec('ROLLBACK TO operation')
      this.#database.exec('RELEASE operation')
      return { id: write.id, kind: 'error', failure: writeFailure(error) }
    }
  }

  #transaction(write: QueuedWrite, changes: PublishedChange[]): WriteTransaction {
    let idsDrawn = 0
    return {
      nowMs: write.nowMs,
      sql: (text) => this.#statement(text),
      change: (accountId, mailboxId, change) => {
        changes.push({ accountId, mailboxId, change })
      },
      randomId: () => {
        idsDrawn += 1
        const digest = createHash('sha256').update(write.seed).update(String(idsDrawn)).digest()
        return new Uint8Array(digest.subarray(0, ROW_ID_BYTES))
      },
    }
  }

  #statement(text: string): StatementSync {
    const cached = this.#statements.get(text)
    if (cached !== undefined) return cached
    const statement = this.#database.prepare(text)
    this.#statements.set(text, statement)
    return statement
  }
}

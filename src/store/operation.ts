import type { StatementSync } from 'node:sqlite'
import type { MailboxChange } from '../imap/port.ts'
import type { AccountId, MailboxId } from './ids.ts'

/** What an operation gets in the writer thread: the open transaction, the time and ids it was given, and a list for its changes. */
export interface WriteTransaction {
  /** A prepared statement, cached for the life of the thread. Use constant texts only; values go in as parameters. */
  sql(text: string): StatementSync
  /** Milliseconds since 1970 when the caller asked for the write. */
  readonly nowMs: number
  /** Announces a change of a mailbox; published in commit order after the commit, dropped if the operation throws. */
  change(accountId: AccountId, mailboxId: MailboxId, change: MailboxChange): void
  /** 16 random bytes. */
  randomId(): Uint8Array
}

/**
 * A named write, run whole in the writer thread inside a SAVEPOINT of the current group transaction (design 3).
 * Arguments and result are plain data (structured clone). It returns expected outcomes and throws only for our own
 * fault; when it throws it undoes itself alone. It must be deterministic in (rows, args, tx): a group that is lost
 * as a whole is run again one by one.
 */
type Operation<Args, Result> = (tx: WriteTransaction, args: Args) => Result

/** A table of operations by name; `never` so that every operation fits. */
export type OperationTable = Readonly<Record<string, Operation<never, unknown>>>

export type OperationArgs<Table extends OperationTable, Name extends keyof Table> = Parameters<Table[Name]>[1]
export type OperationResult<Table extends OperationTable, Name extends keyof Table> = ReturnType<Table[Name]>

/** A change with the mailbox and account it belongs to, as published. */
export interface PublishedChange {
  readonly accountId: AccountId
  readonly mailboxId: MailboxId
  readonly change: MailboxChange
}

import { findMailbox } from '../../src/store/mailbox-rows.ts'
import { insertMessage } from '../../src/store/message-rows.ts'
import type { WriteTransaction } from '../../src/store/operation.ts'
import { operations as storeOperations } from '../../src/store/operations.ts'

/** The store's operations and some that misbehave on purpose. */
export const operations = {
  ...storeOperations,

  /** Inserts like a delivery and then throws. */
  insertAndThrow(tx: WriteTransaction, args: Parameters<typeof storeOperations.appendMessage>[1]): never {
    const mailbox = findMailbox(tx, args.accountId, args.mailboxName)
    if (mailbox === undefined) throw new Error('no mailbox')
    insertMessage(tx, { mailbox, content: args.message, flags: ['Half'], internalDateMs: tx.nowMs })
    throw new RangeError('on purpose')
  },

  /** Loses the whole group: rolls back behind the runner's back, as SQLite does on an I/O error. */
  loseTransaction(tx: WriteTransaction): never {
    tx.sql('ROLLBACK').run()
    throw new Error('lost')
  },

  /** Breaks a deferred constraint: only COMMIT notices. */
  breakAtCommit(tx: WriteTransaction): void {
    tx.sql('PRAGMA defer_foreign_keys = ON').run()
    tx.sql("INSERT INTO subscriptions (account_id, name) VALUES (-1, 'x')").run()
  },

  /** Makes the database larger than it may be. */
  fillDisk(tx: WriteTransaction): void {
    const pages = tx.sql('PRAGMA page_count').get()
    tx.sql(`PRAGMA max_page_count = ${Number(pages?.page_count)}`).get()
    tx.sql(
      'INSERT INTO blobs (id, account_id, size, sealed_bytes) VALUES (randomblob(16), 1, 1, zeroblob(1000000))',
    ).run()
  },

  allowGrowth(tx: WriteTransaction): void {
    tx.sql('PRAGMA max_page_count = 1000000').get()
  },

  randomIds(tx: WriteTransaction): Uint8Array[] {
    return [tx.randomId(), tx.randomId()]
  },

  /** Ends the thread without a word. */
  exitThread(): never {
    process.exit(3)
  },
}

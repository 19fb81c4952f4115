import { queueAccount } from './cm-relay-rows.ts'
import type { WriteTransaction } from './operation.ts'

/** A changed account as the peer will be told of it: the key sealed, since it has to go out in clear (CM wire 9.3). */
export interface AccountReplica {
  readonly rowKey: Uint8Array
  readonly sealedAuthKey: Uint8Array
}

/** An account with the hash of its key. */
export interface AccountRow {
  readonly hash: Uint8Array
  readonly userId: string
  /** Queued for the peer in the same transaction. */
  readonly replica?: AccountReplica | undefined
}

/** Where what is known of a key comes from; the column `from_file`. */
const FROM_COMMAND = 0
const FROM_FILE = 1
/** While a file is read in: said by the file before, not yet seen in it again. */
const FROM_OLD_FILE = 2

/** Writes of the accounts by name; each is run whole in one transaction. */
export const accountOperations = {
  /** Makes the keys of the file those of `accounts`; what a command said of a key stands, unless the file disables it. */
  importAccounts(tx: WriteTransaction, { accounts }: { readonly accounts: readonly AccountRow[] }): void {
    tx.sql('UPDATE auth_keys SET from_file = ? WHERE from_file = ?').run(FROM_OLD_FILE, FROM_FILE)
    const upsert = tx.sql(
      `INSERT INTO auth_keys (key_hash, user_id, from_file) VALUES (?1, ?2, ${FROM_FILE})
       ON CONFLICT (key_hash) DO UPDATE
       SET user_id = iif(lower(excluded.user_id) = 'undefined', user_id, excluded.user_id),
           from_file = excluded.from_file
       WHERE from_file <> ${FROM_COMMAND} OR lower(excluded.user_id) = 'disabled'`,
    )
    for (const { hash, userId } of accounts) upsert.run(hash, userId)
    tx.sql('DELETE FROM auth_keys WHERE from_file = ?').run(FROM_OLD_FILE)
  },

  assignAccounts(tx: WriteTransaction, { accounts }: { readonly accounts: readonly AccountRow[] }): void {
    const upsert = tx.sql(
      `INSERT INTO auth_keys (key_hash, user_id, from_file) VALUES (?1, ?2, ${FROM_COMMAND})
       ON CONFLICT (key_hash) DO UPDATE SET user_id = excluded.user_id, from_file = excluded.from_file`,
    )
    for (const { hash, userId, replica } of accounts) {
      upsert.run(hash, userId)
      if (replica !== undefined) queueAccount(tx, { userId, ...replica })
    }
  },

  /** Binds a key that is `undefined`; two connections may try at once, the first one binds. Returns whose it is now. */
  bindAccount(tx: WriteTransaction, { hash, userId, replica }: AccountRow): string | undefined {
    const bound = tx
      .sql(`UPDATE auth_keys SET user_id = ? WHERE key_hash = ? AND lower(user_id) = 'undefined'`)
      .run(userId, hash)
    if (bound.changes > 0 && replica !== undefined) queueAccount(tx, { userId, ...replica })
    const row = tx.sql('SELECT user_id FROM auth_keys WHERE key_hash = ?').get(hash)
    return row === undefined ? undefined : String(row.user_id)
  },
}

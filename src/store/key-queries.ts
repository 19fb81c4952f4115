import { Secret } from '../base/secret.ts'
import type { AccountId } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'
import { open } from './vault.ts'

/** One of an account's secret keys, as it is kept. */
export interface StoredSecretKey {
  /** For `storeSecretKey`'s `basedOn`. */
  readonly rowId: Uint8Array
  readonly armored: Secret<string>
  readonly storedMs: number
}

/** The secret key an account uses: the newest of its key id; undefined for no such account. */
export function storedSecretKey(read: ReadConnection, accountId: AccountId): StoredSecretKey | undefined {
  const row = read.get<{ id: Uint8Array; sealed_secret_key: Uint8Array; created_at_ms: number }>(
    `SELECT keys.id AS id, sealed_secret_key, keys.created_at_ms AS created_at_ms
     FROM keys JOIN accounts ON accounts.id = keys.account_id
     WHERE account_id = ? AND keys.key_id = accounts.key_id ORDER BY keys.created_at_ms DESC LIMIT 1`,
    accountId,
  )
  if (row === undefined) return undefined
  const bytes = open({ accountId, rowId: row.id, purpose: 'secret-key' }, row.sealed_secret_key)
  return {
    rowId: row.id,
    armored: new Secret(Buffer.from(bytes).toString()),
    storedMs: row.created_at_ms,
  }
}

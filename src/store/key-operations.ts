import type { KeyId } from '../cm/ids.ts'
import { announceRow } from './account-network-operations.ts'
import type { SealedValue } from './account-operations.ts'
import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'
import type { DueWork } from './work-rows.ts'
import { wakeRow } from './work-rows.ts'

/** A newer secret key of an account, sealed. */
export interface StoreSecretKey {
  readonly accountId: AccountId
  readonly keyId: KeyId
  readonly secretKey: SealedValue
  /** Id of the row the new key was made from: another one that came meanwhile must not be lost. */
  readonly basedOn: Uint8Array
}

/** Whether the key is the newest now. */
export type StoreSecretKeyOutcome =
  /** `due`: the announcement that goes out now, unless it is running or there is none yet. */
  | { readonly kind: 'ok'; readonly due: readonly DueWork[] }
  /** Another key was stored since, or the account is gone: begin again. */
  | { readonly kind: 'changed' }

export const keyOperations = {
  /**
   * A newer secret key of the account (renewed, or with another subkey), which is used from now on; old rows stay. Its
   * announcement becomes due in the same commit, so that nothing is announced that is not kept, and no crash between the
   * two leaves it unannounced.
   */
  storeSecretKey(tx: WriteTransaction, args: StoreSecretKey): StoreSecretKeyOutcome {
    const { accountId, keyId, secretKey, basedOn } = args
    const newest = tx
      .sql(
        'SELECT id, created_at_ms FROM keys WHERE account_id = ? AND key_id = ? ORDER BY created_at_ms DESC LIMIT 1',
      )
      .get(accountId, keyId)
    if (newest === undefined || !Buffer.from(newest.id as Uint8Array).equals(basedOn))
      return { kind: 'changed' }
    // The newest row counts, whatever the clock did since the last one.
    const createdMs = Math.max(tx.nowMs, Number(newest.created_at_ms) + 1)
    tx.sql(
      'INSERT INTO keys (id, account_id, key_id, sealed_secret_key, created_at_ms) VALUES (?, ?, ?, ?, ?)',
    ).run(secretKey.id, accountId, keyId, secretKey.sealed, createdMs)
    const due = wakeRow(tx, announceRow(accountId))
    return { kind: 'ok', due: due === undefined ? [] : [due] }
  },
}

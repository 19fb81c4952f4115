import type { KeyId } from '../cm/ids.ts'
import type { AccountId, MailboxId } from './ids.ts'
import { insertDefaultMailboxes } from './mailbox-operations.ts'
import type { WriteTransaction } from './operation.ts'

/** A value that is sealed, with the random id it is bound to. */
export interface SealedValue {
  readonly id: Uint8Array
  readonly sealed: Uint8Array
}

export interface AppPasswordRow {
  /** 16 random bytes. */
  readonly id: Uint8Array
  readonly name: string
  readonly allowsImap: boolean
  readonly allowsSmtp: boolean
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

export interface NewAccountRow {
  readonly accountId: AccountId
  /** Lower case. */
  readonly address: string
  readonly shortName: string
  readonly displayName: string
  readonly keyId: KeyId
  readonly servers: readonly string[]
  readonly authKey: SealedValue | null
  readonly secretKey: SealedValue
  readonly appPassword: AppPasswordRow
}

export type CreateAccountOutcome =
  | { readonly kind: 'ok'; readonly accountId: AccountId }
  /** Address, short name or key belongs to an account that is here (design 9: refused). */
  | { readonly kind: 'already-exists'; readonly what: 'address' | 'short name' | 'key' }

export const accountOperations = {
  /** The account with its key, first app password and default mailboxes, all in one. */
  createAccount(tx: WriteTransaction, account: NewAccountRow): CreateAccountOutcome {
    const taken = takenBy(tx, account)
    if (taken !== undefined) return { kind: 'already-exists', what: taken }
    const { accountId, authKey, secretKey } = account
    tx.sql(
      `INSERT INTO accounts (id, address, short_name, display_name, key_id, servers, auth_key_id, sealed_auth_key, state, created_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'active', ?)`,
    ).run(
      accountId,
      account.address,
      account.shortName,
      account.displayName,
      account.keyId,
      JSON.stringify(account.servers),
      authKey?.id ?? null,
      authKey?.sealed ?? null,
      tx.nowMs,
    )
    tx.sql(
      'INSERT INTO keys (id, account_id, key_id, sealed_secret_key, created_at_ms) VALUES (?, ?, ?, ?, ?)',
    ).run(secretKey.id, accountId, account.keyId, secretKey.sealed, tx.nowMs)
    insertAppPassword(tx, accountId, account.appPassword)
    insertDefaultMailboxes(tx, accountId)
    return { kind: 'ok', accountId }
  },

  /** Removes the account and everything of it; false when it is not there. Sessions that have a mailbox open end. */
  removeAccount(tx: WriteTransaction, args: { readonly accountId: AccountId }): boolean {
    const { accountId } = args
    const mailboxes = tx.sql('SELECT id FROM mailboxes WHERE account_id = ?').all(accountId)
    for (const row of mailboxes) {
      tx.change(accountId, Number(row.id) as MailboxId, { kind: 'deleted' })
    }
    // Whatever refers to them goes with the account.
    tx.sql('UPDATE blobs SET reference_count = 0, released_at_ms = ? WHERE account_id = ?').run(
      tx.nowMs,
      accountId,
    )
    return tx.sql('DELETE FROM accounts WHERE id = ?').run(accountId).changes > 0
  },

  /** A further app password; false when the account has one of that name. */
  addAppPassword(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly appPassword: AppPasswordRow },
  ): boolean {
    const taken = tx
      .sql('SELECT 1 FROM app_passwords WHERE account_id = ? AND name = ?')
      .get(args.accountId, args.appPassword.name)
    if (taken !== undefined) return false
    insertAppPassword(tx, args.accountId, args.appPassword)
    return true
  },

  /** Revokes by name; false when there is none. */
  revokeAppPassword(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly name: string },
  ): boolean {
    const removal = tx.sql('DELETE FROM app_passwords WHERE account_id = ? AND name = ?')
    return removal.run(args.accountId, args.name).changes > 0
  },

  markAppPasswordUsed(tx: WriteTransaction, args: { readonly id: Uint8Array }): void {
    tx.sql('UPDATE app_passwords SET last_used_at_ms = ? WHERE id = ?').run(tx.nowMs, args.id)
  },
}

function takenBy(tx: WriteTransaction, account: NewAccountRow): 'address' | 'short name' | 'key' | undefined {
  // A login name is an address or a short name: neither may be the other of somebody else.
  const named = tx.sql('SELECT 1 FROM accounts WHERE address = ?1 OR short_name = ?1')
  if (named.get(account.address) !== undefined) return 'address'
  if (named.get(account.shortName) !== undefined) return 'short name'
  if (tx.sql('SELECT 1 FROM accounts WHERE key_id = ?').get(account.keyId) !== undefined) return 'key'
  return undefined
}

function insertAppPassword(tx: WriteTransaction, accountId: AccountId, row: AppPasswordRow): void {
  tx.sql(
    `INSERT INTO app_passwords (id, account_id, name, allows_imap, allows_smtp, salt, hash, created_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    row.id,
    accountId,
    row.name,
    row.allowsImap ? 1 : 0,
    row.allowsSmtp ? 1 : 0,
    row.salt,
    row.hash,
    tx.nowMs,
  )
}

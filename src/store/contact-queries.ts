import type { KeyId } from '../cm/ids.ts'
import type { StoredTrust } from './contact-operations.ts'
import type { AccountId } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'

/** A key as the account knows it; times in milliseconds since 1970. */
export interface StoredContact {
  readonly keyId: KeyId
  readonly trust: StoredTrust
  readonly userId: string
  readonly announcement: string
  readonly announcedMs: number
  readonly fetchedMs: number
  readonly firstSeenMs: number
  /** When the key ends, as its newest announcement says; null for never. */
  readonly expiresMs: number | null
}

interface ContactRow {
  readonly key_id: KeyId
  readonly trust: StoredTrust
  readonly user_id: string
  readonly announcement: string
  readonly announced_ms: number
  readonly fetched_ms: number
  readonly first_seen_ms: number
  readonly expires_ms: number | null
}

function toContact(row: ContactRow): StoredContact {
  return {
    keyId: row.key_id,
    trust: row.trust,
    userId: row.user_id,
    announcement: row.announcement,
    announcedMs: row.announced_ms,
    fetchedMs: row.fetched_ms,
    firstSeenMs: row.first_seen_ms,
    expiresMs: row.expires_ms,
  }
}

/** One key of one account's contacts. */
export function contactByKeyId(
  read: ReadConnection,
  accountId: AccountId,
  keyId: KeyId,
): StoredContact | undefined {
  const row = read.get<ContactRow>(
    'SELECT * FROM contacts WHERE account_id = ? AND key_id = ?',
    accountId,
    keyId,
  )
  return row === undefined ? undefined : toContact(row)
}

/** Every key with the long key id a signature names: 16 hex digits, the last of the fingerprint. */
export function contactsByKeySuffix(
  read: ReadConnection,
  accountId: AccountId,
  suffix: string,
): StoredContact[] {
  return read
    .all<ContactRow>(
      'SELECT * FROM contacts WHERE account_id = ? AND substr(key_id, 25) = ?',
      accountId,
      suffix.toLowerCase(),
    )
    .map(toContact)
}

/** Every key that carries the address, blocked ones included, oldest first. */
export function contactsByAddress(
  read: ReadConnection,
  accountId: AccountId,
  address: string,
): StoredContact[] {
  const rows = read.all<ContactRow>(
    `SELECT contacts.* FROM addresses JOIN contacts USING (account_id, key_id)
     WHERE account_id = ? AND address = ? ORDER BY first_seen_ms, key_id`,
    accountId,
    address,
  )
  return rows.map(toContact)
}

/** Times in milliseconds since 1970. */
export interface AddressLookup {
  readonly lookedUpMs: number
  /** When the address last had a key; null for never. */
  readonly foundMs: number | null
}

/** When an address was last looked up for this account. */
export function addressLookup(
  read: ReadConnection,
  accountId: AccountId,
  address: string,
): AddressLookup | undefined {
  const row = read.get<{ readonly looked_up_ms: number; readonly found_ms: number | null }>(
    'SELECT looked_up_ms, found_ms FROM address_lookups WHERE account_id = ? AND address = ?',
    accountId,
    address,
  )
  return row === undefined ? undefined : { lookedUpMs: row.looked_up_ms, foundMs: row.found_ms }
}

/** Lower-case addresses of a key the account has seen; undefined for one it has not. */
export function addressesOfKey(
  read: ReadConnection,
  accountId: AccountId,
  keyId: KeyId,
): readonly string[] | undefined {
  if (contactByKeyId(read, accountId, keyId) === undefined) return undefined
  return read
    .all<{ readonly address: string }>(
      'SELECT address FROM addresses WHERE account_id = ? AND key_id = ? ORDER BY address',
      accountId,
      keyId,
    )
    .map(({ address }) => address)
}

/** Addresses of a key whose domain vouched for it, lower case, with the last time (design 9). */
export function vouchedAddresses(
  read: ReadConnection,
  accountId: AccountId,
  keyId: KeyId,
): { readonly address: string; readonly vouchedMs: number }[] {
  return read.all(
    `SELECT address, vouched_ms AS vouchedMs FROM addresses
     WHERE account_id = ? AND key_id = ? AND vouched_ms IS NOT NULL ORDER BY address`,
    accountId,
    keyId,
  )
}

/** Every key of an account's contacts, by user id. */
export function listContacts(read: ReadConnection, accountId: AccountId): StoredContact[] {
  return read
    .all<ContactRow>('SELECT * FROM contacts WHERE account_id = ? ORDER BY user_id, key_id', accountId)
    .map(toContact)
}

/** Keys mailed with whose announcement was fetched before `beforeMs`, the longest ago first, at most `limit`. */
export function staleContacts(
  read: ReadConnection,
  accountId: AccountId,
  { beforeMs, limit }: { readonly beforeMs: number; readonly limit: number },
): StoredContact[] {
  const rows = read.all<ContactRow>(
    `SELECT * FROM contacts WHERE account_id = ? AND trust NOT IN ('new', 'blocked') AND fetched_ms < ?
     ORDER BY fetched_ms, key_id LIMIT ?`,
    accountId,
    beforeMs,
    limit,
  )
  return rows.map(toContact)
}

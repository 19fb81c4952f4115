import type { KeyId } from '../cm/ids.ts'
import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'

/** How far one account trusts a key, strongest first in the design's list (design 9); collisions are computed. */
export type StoredTrust = 'verified' | 'signed' | 'domain' | 'known' | 'new' | 'blocked'

/** A key one account has seen, with the announcement it was verified from. */
export interface ContactRecord {
  readonly keyId: KeyId
  /** The user id that is shown. */
  readonly userId: string
  /** Lower-case addresses of all its valid user ids. */
  readonly addresses: readonly string[]
  /** Those of them whose domain vouched for this key in the look-up (design 9). */
  readonly vouchedAddresses?: readonly string[]
  /** The key announcement as fetched, verified before it came here. */
  readonly announcement: string
  /** Date of the announcement, milliseconds. */
  readonly announcedMs: number
  /** When the key ends; undefined for never. */
  readonly expiresMs?: number | undefined
}

/** Adds or refreshes a key. An older announcement than the stored one changes only the time it was fetched. */
export function upsertContact(tx: WriteTransaction, accountId: AccountId, contact: ContactRecord): void {
  const stored = tx
    .sql('SELECT announced_ms FROM contacts WHERE account_id = ? AND key_id = ?')
    .get(accountId, contact.keyId)
  if (stored !== undefined && Number(stored.announced_ms) > contact.announcedMs) {
    tx.sql('UPDATE contacts SET fetched_ms = ? WHERE account_id = ? AND key_id = ?').run(
      tx.nowMs,
      accountId,
      contact.keyId,
    )
  } else {
    writeContact(tx, accountId, contact)
  }
  for (const address of contact.vouchedAddresses ?? []) {
    tx.sql('UPDATE addresses SET vouched_ms = ? WHERE account_id = ? AND address = ? AND key_id = ?').run(
      tx.nowMs,
      accountId,
      address,
      contact.keyId,
    )
  }
}

function writeContact(tx: WriteTransaction, accountId: AccountId, contact: ContactRecord): void {
  const { keyId, userId, announcement, announcedMs, expiresMs = null } = contact
  tx.sql(
    `INSERT INTO contacts (account_id, key_id, trust, user_id, announcement, announced_ms, fetched_ms, first_seen_ms, expires_ms)
     VALUES (?1, ?2, 'new', ?3, ?4, ?5, ?6, ?6, ?7)
     ON CONFLICT (account_id, key_id) DO UPDATE
     SET user_id = ?3, announcement = ?4, announced_ms = ?5, fetched_ms = ?6, expires_ms = ?7`,
  ).run(accountId, keyId, userId, announcement, announcedMs, tx.nowMs, expiresMs)
  // Addresses the key no longer carries go; what a domain vouched for stays with those it still does.
  tx.sql(
    `DELETE FROM addresses WHERE account_id = ? AND key_id = ?
     AND address NOT IN (SELECT value FROM json_each(?))`,
  ).run(accountId, keyId, JSON.stringify(contact.addresses))
  for (const address of contact.addresses) {
    tx.sql('INSERT OR IGNORE INTO addresses (account_id, address, key_id) VALUES (?, ?, ?)').run(
      accountId,
      address,
      keyId,
    )
  }
}

/** First use: a key that was only seen is now known (pinned). Stronger words and `blocked` stay. */
export function pinContact(tx: WriteTransaction, accountId: AccountId, keyId: KeyId): void {
  tx.sql(`UPDATE contacts SET trust = 'known' WHERE account_id = ? AND key_id = ? AND trust = 'new'`).run(
    accountId,
    keyId,
  )
}

export const contactOperations = {
  /** Keeps what a look-up of one address found: the keys, and when it was looked up. */
  recordLookup(
    tx: WriteTransaction,
    args: {
      readonly accountId: AccountId
      readonly address: string
      readonly found: readonly ContactRecord[]
    },
  ): void {
    for (const contact of args.found) upsertContact(tx, args.accountId, contact)
    tx.sql(
      `INSERT INTO address_lookups (account_id, address, looked_up_ms, found_ms) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT (account_id, address) DO UPDATE SET looked_up_ms = ?3, found_ms = coalesce(?4, found_ms)`,
    ).run(args.accountId, args.address, tx.nowMs, args.found.length > 0 ? tx.nowMs : null)
  },

  /** Keeps keys that were fetched by their id. */
  recordContacts(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly contacts: readonly ContactRecord[] },
  ): void {
    for (const contact of args.contacts) upsertContact(tx, args.accountId, contact)
  },

  setContactTrust(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly keyId: KeyId; readonly trust: StoredTrust },
  ): boolean {
    const changed = tx
      .sql('UPDATE contacts SET trust = ? WHERE account_id = ? AND key_id = ?')
      .run(args.trust, args.accountId, args.keyId)
    return changed.changes > 0
  },
}

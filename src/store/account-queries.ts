import { Secret } from '../base/secret.ts'
import type { KeyId } from '../cm/ids.ts'
import type { AppPasswordScope } from './app-password.ts'
import type { AccountId, MailboxId } from './ids.ts'
import { storedSecretKey } from './key-queries.ts'
import type { ReadConnection } from './read-connection.ts'
import { open } from './vault.ts'

/** An account without its secrets. */
export interface Account {
  readonly id: AccountId
  /** Lower case. */
  readonly address: string
  /** A second name to log in with. */
  readonly shortName: string
  /** For the user id of the key and From; may be empty. */
  readonly displayName: string
  readonly keyId: KeyId
  /** HOST:PORT of its CM servers, in order of preference. */
  readonly servers: readonly string[]
  readonly state: 'active' | 'disabled'
  readonly createdAtMs: number
  readonly network: AccountNetwork
}

/** What an account tells its network beside its servers (CM message 10.1). */
export interface AccountNetwork {
  /** Mailboxes we announce: `0` to `n - 1`. */
  readonly mailboxCount: number
  /** Bits of work we ask of senders, always two matches. */
  readonly costBits: number
  /** What was announced before, polled and accepted as well until `untilMs`. */
  readonly previous:
    | { readonly mailboxCount: number; readonly costBits: number; readonly untilMs: number }
    | undefined
  /** Servers the account moved away from: polled, and its key posted there, until `untilMs`. */
  readonly old: { readonly servers: readonly string[]; readonly untilMs: number } | undefined
  /** Servers the key is published at; no mail is polled there. */
  readonly publishServers: readonly string[]
  readonly usesBypassTokens: boolean
  readonly appliesFolderSync: boolean
  /** Days between changes of the encryption subkey; 0: never by itself. */
  readonly rotateDays: number
}

interface AccountRow {
  readonly id: number
  readonly address: string
  readonly short_name: string
  readonly display_name: string
  readonly key_id: string
  readonly servers: string
  readonly state: 'active' | 'disabled'
  readonly created_at_ms: number
  readonly mailbox_count: number
  readonly cost_bits: number
  readonly previous_mailbox_count: number | null
  readonly previous_cost_bits: number | null
  readonly previous_until_ms: number | null
  readonly old_servers: string
  readonly old_until_ms: number | null
  readonly publish_servers: string
  readonly uses_bypass_tokens: number
  readonly applies_folder_sync: number
  readonly rotate_days: number
}

const SELECT_ACCOUNT = `SELECT id, address, short_name, display_name, key_id, servers, state, created_at_ms,
  mailbox_count, cost_bits, previous_mailbox_count, previous_cost_bits, previous_until_ms, old_servers, old_until_ms,
  publish_servers, uses_bypass_tokens, applies_folder_sync, rotate_days FROM accounts`

function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    address: row.address,
    shortName: row.short_name,
    displayName: row.display_name,
    keyId: row.key_id as KeyId,
    servers: JSON.parse(row.servers) as string[],
    state: row.state,
    createdAtMs: row.created_at_ms,
    network: toNetwork(row),
  }
}

function toNetwork(row: AccountRow): AccountNetwork {
  const { mailbox_count, cost_bits, previous_until_ms, old_until_ms } = row
  const oldServers = JSON.parse(row.old_servers) as string[]
  return {
    mailboxCount: mailbox_count,
    costBits: cost_bits,
    previous:
      previous_until_ms === null
        ? undefined
        : {
            mailboxCount: row.previous_mailbox_count ?? mailbox_count,
            costBits: row.previous_cost_bits ?? cost_bits,
            untilMs: previous_until_ms,
          },
    old:
      old_until_ms === null || oldServers.length === 0
        ? undefined
        : { servers: oldServers, untilMs: old_until_ms },
    publishServers: JSON.parse(row.publish_servers) as string[],
    usesBypassTokens: row.uses_bypass_tokens === 1,
    appliesFolderSync: row.applies_folder_sync === 1,
    rotateDays: row.rotate_days,
  }
}

/** All accounts, by address. */
export function listAccounts(read: ReadConnection): Account[] {
  return read.all<AccountRow>(`${SELECT_ACCOUNT} ORDER BY address`).map(toAccount)
}

/** Undefined for an account that was removed. */
export function accountById(read: ReadConnection, accountId: AccountId): Account | undefined {
  const row = read.get<AccountRow>(`${SELECT_ACCOUNT} WHERE id = ?`, accountId)
  return row === undefined ? undefined : toAccount(row)
}

/** The account that an address or a short name means, in any case. */
export function accountByLogin(read: ReadConnection, login: string): Account | undefined {
  const row = read.get<AccountRow>(
    `${SELECT_ACCOUNT} WHERE address = ?1 OR short_name = ?1`,
    login.trim().toLowerCase(),
  )
  return row === undefined ? undefined : toAccount(row)
}

/** What is known of an app password, never the password. */
export interface AppPassword {
  readonly name: string
  readonly scopes: readonly AppPasswordScope[]
  readonly createdAtMs: number
  readonly lastUsedAtMs: number | null
}

interface AppPasswordRow {
  readonly id: Uint8Array
  readonly name: string
  readonly allows_imap: number
  readonly allows_smtp: number
  readonly salt: Uint8Array
  readonly hash: Uint8Array
  readonly created_at_ms: number
  readonly last_used_at_ms: number | null
}

/** The hashes a login is compared with. */
export interface AppPasswordHash {
  readonly id: Uint8Array
  readonly scopes: readonly AppPasswordScope[]
  readonly salt: Uint8Array
  readonly hash: Uint8Array
  readonly lastUsedAtMs: number | null
}

function passwordRows(read: ReadConnection, accountId: AccountId): AppPasswordRow[] {
  return read.all<AppPasswordRow>('SELECT * FROM app_passwords WHERE account_id = ? ORDER BY name', accountId)
}

function toScopes(row: AppPasswordRow): AppPasswordScope[] {
  const scopes: AppPasswordScope[] = []
  if (row.allows_imap === 1) scopes.push('imap')
  if (row.allows_smtp === 1) scopes.push('smtp')
  return scopes
}

/** The app passwords of an account, by name. */
export function listAppPasswords(read: ReadConnection, accountId: AccountId): AppPassword[] {
  return passwordRows(read, accountId).map((row) => ({
    name: row.name,
    scopes: toScopes(row),
    createdAtMs: row.created_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
  }))
}

/** What each of the account's app passwords is checked with, by name. */
export function appPasswordHashes(read: ReadConnection, accountId: AccountId): AppPasswordHash[] {
  return passwordRows(read, accountId).map((row) => ({
    id: row.id,
    scopes: toScopes(row),
    salt: row.salt,
    hash: row.hash,
    lastUsedAtMs: row.last_used_at_ms,
  }))
}

/** The account's newest OpenPGP secret key, as it was given to `createAccount`; undefined for no such account. */
export function loadSecretKey(read: ReadConnection, accountId: AccountId): Secret<string> | undefined {
  return storedSecretKey(read, accountId)?.armored
}

/** Which of an account's auth keys: for its own servers, those it left, those its key is published at. */
export type AuthKeyPlace = 'own' | 'old' | 'publish'

const AUTH_KEY_COLUMNS = {
  own: 'auth_key_id AS id, sealed_auth_key AS sealed',
  old: 'old_auth_key_id AS id, sealed_old_auth_key AS sealed',
  publish: 'publish_auth_key_id AS id, sealed_publish_auth_key AS sealed',
} as const

/** Secret keys that are tried on what arrives: a message may be to a subkey that only an older export holds. */
const MAX_SECRET_KEYS = 8

/** The account's secret key as `loadSecretKey` gives it, and those it replaced, newest first. */
export function loadSecretKeys(read: ReadConnection, accountId: AccountId): Secret<string>[] {
  const rows = read.all<{ id: Uint8Array; sealed_secret_key: Uint8Array }>(
    `SELECT keys.id AS id, sealed_secret_key FROM keys JOIN accounts ON accounts.id = keys.account_id
     WHERE account_id = ? AND keys.key_id = accounts.key_id ORDER BY keys.created_at_ms DESC LIMIT ?`,
    accountId,
    MAX_SECRET_KEYS,
  )
  return rows.map((row) => {
    const bytes = open({ accountId, rowId: row.id, purpose: 'secret-key' }, row.sealed_secret_key)
    return new Secret(Buffer.from(bytes).toString())
  })
}

/** The account's authentication key for LOGIN at its CM servers, or undefined when it has none. */
export function loadAuthKey(
  read: ReadConnection,
  accountId: AccountId,
  place: AuthKeyPlace = 'own',
): Secret<string> | undefined {
  const row = read.get<{ id: Uint8Array | null; sealed: Uint8Array | null }>(
    `SELECT ${AUTH_KEY_COLUMNS[place]} FROM accounts WHERE id = ?`,
    accountId,
  )
  if (row === undefined || row.id === null || row.sealed === null) return undefined
  const bytes = open({ accountId, rowId: row.id, purpose: 'auth-key' }, row.sealed)
  return new Secret(Buffer.from(bytes).toString())
}

/** True when the mailbox is one of the account's. */
export function isMailboxOf(read: ReadConnection, mailboxId: MailboxId, accountId: AccountId): boolean {
  return (
    read.get('SELECT 1 FROM mailboxes WHERE id = ? AND account_id = ?', mailboxId, accountId) !== undefined
  )
}

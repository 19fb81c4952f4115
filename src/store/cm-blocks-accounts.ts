import { scrypt } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import type { CmAccounts, CmLoginOutcome } from '../cm/server/port.ts'
import { inTransaction } from './cm-blocks-database.ts'

/** One line of an account file: the key and who may use it (`undefined` and `disabled` are special). */
export interface CmAccountEntry {
  readonly userId: string
  readonly authKey: string
}

/** scrypt cost: some 10 ms, so that a list of a thousand keys loads in seconds and guessing stays slow. */
const SCRYPT_COST = 4096
const HASH_BYTES = 32
const SALT_BYTES = 16

const KEY_ID = /^[0-9a-f]{40}$/i
/** Names with a meaning of their own: an unbound key cannot be bound to them (CM wire 7.7). */
const RESERVED_USER_IDS: ReadonlySet<string> = new Set([
  'undefined',
  'disabled',
  'administrator',
  'replication',
])

/** The accounts of a CM server: auth key → user id, the keys hashed (design 12, CM wire 7.7). */
export class CmAccountTable implements CmAccounts {
  readonly #database: DatabaseSync
  readonly #salt: Uint8Array

  constructor(database: DatabaseSync, randomBytes: (count: number) => Uint8Array) {
    this.#database = database
    this.#salt = loadSalt(database, randomBytes)
  }

  async login(userId: string, authKey: string): Promise<CmLoginOutcome> {
    const hash = await this.#hash(authKey)
    const stored = this.#userOf(hash)
    if (stored === undefined) return { kind: 'refused' }
    if (stored.toLowerCase() === 'undefined') return this.#bind(hash, userId)
    if (stored.toLowerCase() === 'disabled' || !isSameUser(stored, userId)) return { kind: 'refused' }
    return { kind: 'ok', userId: stored }
  }

  /**
   * Makes the keys that came from the account file those of `entries` (later ones win): keys no longer in it are
   * removed; an `undefined` one keeps the user it was bound to.
   */
  async importFile(entries: readonly CmAccountEntry[]): Promise<void> {
    const latest = new Map(entries.map(({ authKey, userId }) => [authKey, userId]))
    const hashed: [Uint8Array, string][] = []
    for (const [authKey, userId] of latest) hashed.push([await this.#hash(authKey), userId])
    inTransaction(this.#database, () => {
      this.#database.exec('UPDATE auth_keys SET from_file = 2 WHERE from_file = 1')
      const upsert = this.#database.prepare(
        `INSERT INTO auth_keys (key_hash, user_id, from_file) VALUES (?, ?, 1) ON CONFLICT (key_hash) DO UPDATE
         SET from_file = 1, user_id = iif(lower(excluded.user_id) = 'undefined', user_id, excluded.user_id)`,
      )
      for (const [hash, userId] of hashed) upsert.run(hash, userId)
      this.#database.exec('DELETE FROM auth_keys WHERE from_file = 2')
    })
  }

  /** Adds one key, or gives it to another user; used by the setup of a household that hosts itself. */
  async add({ userId, authKey }: CmAccountEntry): Promise<void> {
    const hash = await this.#hash(authKey)
    this.#database
      .prepare(
        `INSERT INTO auth_keys (key_hash, user_id, from_file) VALUES (?, ?, 0)
         ON CONFLICT (key_hash) DO UPDATE SET user_id = excluded.user_id`,
      )
      .run(hash, userId)
  }

  #bind(hash: Uint8Array, userId: string): CmLoginOutcome {
    if (RESERVED_USER_IDS.has(userId.toLowerCase())) return { kind: 'refused' }
    // Two connections may try at once: the first binds, the second must be the same user.
    this.#database
      .prepare(`UPDATE auth_keys SET user_id = ? WHERE key_hash = ? AND lower(user_id) = 'undefined'`)
      .run(userId, hash)
    const bound = this.#userOf(hash)
    return bound !== undefined && isSameUser(bound, userId)
      ? { kind: 'ok', userId: bound }
      : { kind: 'refused' }
  }

  #userOf(hash: Uint8Array): string | undefined {
    const row = this.#database.prepare('SELECT user_id FROM auth_keys WHERE key_hash = ?').get(hash)
    return row === undefined ? undefined : String(row.user_id)
  }

  #hash(authKey: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      scrypt(authKey, this.#salt, HASH_BYTES, { N: SCRYPT_COST }, (error, hash) => {
        if (error === null) resolve(hash)
        else reject(error)
      })
    })
  }
}

/** Key ids in any case; other names as they are, except the two roles (CM wire 7.7). */
function isSameUser(stored: string, given: string): boolean {
  const isCaseless = KEY_ID.test(stored) || RESERVED_USER_IDS.has(stored.toLowerCase())
  return isCaseless ? stored.toLowerCase() === given.toLowerCase() : stored === given
}

function loadSalt(database: DatabaseSync, randomBytes: (count: number) => Uint8Array): Uint8Array {
  database
    .prepare(`INSERT OR IGNORE INTO settings (name, value) VALUES ('auth-salt', ?)`)
    .run(randomBytes(SALT_BYTES))
  const row = database.prepare(`SELECT value FROM settings WHERE name = 'auth-salt'`).get()
  if (!(row?.value instanceof Uint8Array)) throw new Error('the CM server database has lost its salt')
  return row.value
}

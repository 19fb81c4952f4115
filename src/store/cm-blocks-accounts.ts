import type { DatabaseSync } from 'node:sqlite'
import type { CmAccountEntry, CmAccounts, CmLoginOutcome, LoginOptions } from '../cm/server/port.ts'
import { AuthKeyHashes } from './cm-auth-key-hashes.ts'
import { inTransaction } from './cm-blocks-database.ts'

const SALT_BYTES = 16
/** As long as the reference's keys. */
const AUTH_KEY_BYTES = 20

const KEY_ID = /^[0-9a-f]{40}$/i
/** Names with a meaning of their own: an unbound key cannot be bound to them (CM wire 7.7). */
const RESERVED_USER_IDS: ReadonlySet<string> = new Set([
  'undefined',
  'disabled',
  'administrator',
  'replication',
])

interface HashedEntry extends CmAccountEntry {
  readonly hash: Uint8Array
}

/** Where what is known of a key comes from; the column `from_file`. */
const FROM_COMMAND = 0
const FROM_FILE = 1
/** While a file is read in: said by the file before, not yet seen in it again. */
const FROM_OLD_FILE = 2

/** The accounts of a CM server: auth key → user id, the keys hashed (design 12, CM wire 7.7). */
export class CmAccountTable implements CmAccounts {
  readonly #database: DatabaseSync
  readonly #hashes: AuthKeyHashes
  readonly #randomBytes: (count: number) => Uint8Array
  /** Changes are made in the order they were asked for, however long the hashing takes. */
  #changes: Promise<void> = Promise.resolve()

  constructor(database: DatabaseSync, randomBytes: (count: number) => Uint8Array) {
    this.#database = database
    this.#randomBytes = randomBytes
    this.#hashes = new AuthKeyHashes(loadSalt(database, randomBytes), randomBytes)
  }

  async login(userId: string, authKey: string, options: LoginOptions = {}): Promise<CmLoginOutcome> {
    const isRemembered = options.which === 'remembered'
    const hash = isRemembered ? this.#hashes.remembered(authKey) : await this.#hashes.of(authKey)
    if (hash === undefined) return { kind: 'refused' }
    const outcome = this.#loginAs({ userId, authKey, hash }, options.onChange)
    if (outcome.kind === 'ok') this.#hashes.remember(authKey, hash)
    return outcome
  }

  /**
   * Takes over an account file (of two lines for a key the later wins): keys no longer in it are removed, an
   * `undefined` one keeps the user it was bound to. What a command said of a key beats the file, which was there
   * before it; only `disabled` in the file always holds.
   */
  async importFile(entries: readonly CmAccountEntry[]): Promise<void> {
    await this.#change(entries, (hashed) => {
      const mark = this.#database.prepare('UPDATE auth_keys SET from_file = ? WHERE from_file = ?')
      mark.run(FROM_OLD_FILE, FROM_FILE)
      const upsert = this.#database.prepare(
        `INSERT INTO auth_keys (key_hash, user_id, from_file) VALUES (?1, ?2, ${FROM_FILE})
         ON CONFLICT (key_hash) DO UPDATE
         SET user_id = iif(lower(excluded.user_id) = 'undefined', user_id, excluded.user_id),
             from_file = excluded.from_file
         WHERE from_file <> ${FROM_COMMAND} OR lower(excluded.user_id) = 'disabled'`,
      )
      for (const { hash, userId } of hashed) upsert.run(hash, userId)
      this.#database.prepare('DELETE FROM auth_keys WHERE from_file = ?').run(FROM_OLD_FILE)
      for (const { authKey, hash } of hashed) this.#hashes.remember(authKey, hash)
    })
  }

  async assign(
    entries: readonly CmAccountEntry[],
    onChange?: (entry: CmAccountEntry) => void,
  ): Promise<void> {
    await this.#change(entries, (hashed) => {
      const upsert = this.#database.prepare(
        `INSERT INTO auth_keys (key_hash, user_id, from_file) VALUES (?1, ?2, ${FROM_COMMAND})
         ON CONFLICT (key_hash) DO UPDATE SET user_id = excluded.user_id, from_file = excluded.from_file`,
      )
      for (const { hash, userId, authKey } of hashed) {
        upsert.run(hash, userId)
        onChange?.({ userId, authKey })
      }
    })
  }

  newAuthKey(): string {
    return Buffer.from(this.#randomBytes(AUTH_KEY_BYTES)).toString('hex').toUpperCase()
  }

  #change(
    entries: readonly CmAccountEntry[],
    write: (hashed: readonly HashedEntry[]) => void,
  ): Promise<void> {
    const changed = this.#changes.then(async () => {
      const hashed: HashedEntry[] = []
      // One after the other: who logs in meanwhile is not behind all of them.
      for (const [authKey, userId] of new Map(entries.map((entry) => [entry.authKey, entry.userId]))) {
        hashed.push({ authKey, userId, hash: await this.#hashes.of(authKey) })
      }
      inTransaction(this.#database, () => write(hashed))
    })
    // A change that failed is its caller's to report; the next one goes on.
    this.#changes = changed.catch(() => undefined)
    return changed
  }

  #loginAs(given: HashedEntry, onBound: LoginOptions['onChange']): CmLoginOutcome {
    const stored = this.#userOf(given.hash)
    if (stored === undefined) return { kind: 'refused' }
    if (stored.toLowerCase() === 'undefined') return this.#bind(given, onBound)
    if (stored.toLowerCase() === 'disabled' || !isSameUser(stored, given.userId)) return { kind: 'refused' }
    return { kind: 'ok', userId: stored }
  }

  #bind({ userId, authKey, hash }: HashedEntry, onBound: LoginOptions['onChange']): CmLoginOutcome {
    if (RESERVED_USER_IDS.has(userId.toLowerCase())) return { kind: 'refused' }
    inTransaction(this.#database, () => {
      this.#database.prepare('UPDATE auth_keys SET user_id = ? WHERE key_hash = ?').run(userId, hash)
      onBound?.({ userId, authKey })
    })
    return { kind: 'ok', userId }
  }

  #userOf(hash: Uint8Array): string | undefined {
    const row = this.#database.prepare('SELECT user_id FROM auth_keys WHERE key_hash = ?').get(hash)
    return row === undefined ? undefined : String(row.user_id)
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

import type { DatabaseSync } from 'node:sqlite'
import { Secret } from '../base/secret.ts'
import type {
  AssignOptions,
  CmAccountEntry,
  CmAccounts,
  CmLoginOutcome,
  LoginOptions,
} from '../cm/server/port.ts'
import type { AccountReplica, AccountRow, accountOperations } from './cm-account-rows.ts'
import { AuthKeyHashes } from './cm-auth-key-hashes.ts'
import { sealAuthKey } from './cm-relay-replicas.ts'
import type { OperationArgs, OperationResult } from './operation.ts'

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

type AccountOperations = typeof accountOperations

/** A new auth key: 40 upper-case hex digits. */
export function makeAuthKey(randomBytes: AccountStorage['randomBytes']): string {
  return Buffer.from(randomBytes(AUTH_KEY_BYTES)).toString('hex').toUpperCase()
}

/** What the accounts are kept in. */
export interface AccountStorage {
  /** The server's database, to read from. */
  readonly database: DatabaseSync
  /** Runs a named write of the accounts; durable when it resolves. */
  readonly write: <Name extends keyof AccountOperations>(
    name: Name,
    args: OperationArgs<AccountOperations, Name>,
  ) => Promise<OperationResult<AccountOperations, Name>>
  readonly randomBytes: (count: number) => Uint8Array
}

/** The accounts of a CM server: auth key → user id, the keys hashed (design 12, CM wire 7.7). */
export class CmAccountTable implements CmAccounts {
  readonly #storage: AccountStorage
  readonly #hashes: AuthKeyHashes
  /** Changes are made in the order they were asked for, however long the hashing takes. */
  #changes: Promise<void> = Promise.resolve()
  #changeCount = 0

  constructor(storage: AccountStorage) {
    this.#storage = storage
    const { database, randomBytes } = storage
    this.#hashes = new AuthKeyHashes(loadSalt(database, randomBytes), randomBytes)
  }

  async login(userId: string, authKey: string, options: LoginOptions = {}): Promise<CmLoginOutcome> {
    const isRemembered = options.which === 'remembered'
    const hash = isRemembered ? this.#hashes.remembered(authKey) : await this.#hashes.of(authKey)
    if (hash === undefined) return { kind: 'refused' }
    const given = { userId, hash, replica: this.#replica(authKey, options) }
    const stored = this.#userOf(hash)
    const user = stored?.toLowerCase() === 'undefined' ? await this.#bind(given) : stored
    if (user === undefined || user.toLowerCase() === 'disabled' || !isSameUser(user, userId)) {
      return { kind: 'refused' }
    }
    this.#hashes.remember(authKey, hash)
    return { kind: 'ok', userId: user, isValid: this.#watch(hash, user) }
  }

  /** Looks at the database only after something was changed. */
  #watch(hash: Uint8Array, userId: string): () => boolean {
    let seenChanges = this.#changeCount
    return () => {
      if (seenChanges === this.#changeCount) return true
      if (this.#userOf(hash) !== userId) return false
      seenChanges = this.#changeCount
      return true
    }
  }

  /**
   * Takes over an account file (of two lines for a key the later wins): keys no longer in it are removed, an
   * `undefined` one keeps the user it was bound to. What a command said of a key beats the file, which was there
   * before it; only `disabled` in the file always holds.
   */
  importFile(entries: readonly CmAccountEntry[]): Promise<void> {
    return this.#change(entries, async (accounts) => {
      await this.#storage.write('importAccounts', { accounts })
      for (const { authKey, hash } of accounts) this.#hashes.remember(authKey, hash)
    })
  }

  assign(entries: readonly CmAccountEntry[], options: AssignOptions = {}): Promise<void> {
    return this.#change(entries, (hashed) => {
      const accounts = hashed.map(({ userId, authKey, hash }) => ({
        userId,
        hash,
        replica: this.#replica(authKey, options),
      }))
      return this.#storage.write('assignAccounts', { accounts })
    })
  }

  newAuthKey(): string {
    return makeAuthKey(this.#storage.randomBytes)
  }

  #change(
    entries: readonly CmAccountEntry[],
    write: (hashed: readonly (CmAccountEntry & { readonly hash: Uint8Array })[]) => Promise<void>,
  ): Promise<void> {
    const changed = this.#changes.then(async () => {
      const hashed: (CmAccountEntry & { readonly hash: Uint8Array })[] = []
      // One after the other: who logs in meanwhile is not behind all of them.
      for (const [authKey, userId] of new Map(entries.map((entry) => [entry.authKey, entry.userId]))) {
        hashed.push({ authKey, userId, hash: await this.#hashes.of(authKey) })
      }
      await write(hashed)
      this.#changeCount += 1
    })
    // A change that failed is its caller's to report; the next one goes on.
    this.#changes = changed.catch(() => undefined)
    return changed
  }

  async #bind(given: AccountRow): Promise<string | undefined> {
    return RESERVED_USER_IDS.has(given.userId.toLowerCase())
      ? undefined
      : this.#storage.write('bindAccount', given)
  }

  #replica(authKey: string, { tellPeer = false }: AssignOptions): AccountReplica | undefined {
    return tellPeer ? sealAuthKey(new Secret(authKey), this.#storage.randomBytes) : undefined
  }

  #userOf(hash: Uint8Array): string | undefined {
    const row = this.#storage.database.prepare('SELECT user_id FROM auth_keys WHERE key_hash = ?').get(hash)
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

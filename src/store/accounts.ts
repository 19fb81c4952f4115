import { duration } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import type { KeyId } from '../cm/ids.ts'
import type { SealedValue } from './account-operations.ts'
import { type Account, accountByLogin, appPasswordHashes } from './account-queries.ts'
import { type AppPasswordScope, createAppPassword, matchesAppPassword } from './app-password.ts'
import { DiskFullError } from './errors.ts'
import { type AccountId, createAccountId, ROW_ID_BYTES } from './ids.ts'
import type { Store } from './open-store.ts'
import { type SealContext, seal } from './vault.ts'

type RandomBytes = (size: number) => Uint8Array

export interface NewAccount {
  /** In any case; kept in lower case. */
  readonly address: string
  /** A second login name; the address when left out. */
  readonly shortName?: string
  readonly displayName: string
  readonly keyId: KeyId
  /** HOST:PORT, in order of preference. */
  readonly servers: readonly string[]
  /** For LOGIN at the CM servers. */
  readonly authKey?: Secret<string>
  /** Armored OpenPGP secret key. */
  readonly secretKey: Secret<string>
  /** Name of the first app password, which is for IMAP and SMTP. */
  readonly appPasswordName: string
}

export type NewAccountOutcome =
  | { readonly kind: 'ok'; readonly accountId: AccountId; readonly appPassword: Secret<string> }
  | { readonly kind: 'already-exists'; readonly what: 'address' | 'short name' | 'key' }

/** Adds an account with its mailboxes and its first app password, which is shown once and never stored. */
export async function createAccount(
  store: Store,
  account: NewAccount,
  randomBytes: RandomBytes,
): Promise<NewAccountOutcome> {
  const accountId = createAccountId(randomBytes)
  const appPassword = createAppPassword({
    name: account.appPasswordName,
    scopes: ['imap', 'smtp'],
    randomBytes,
  })
  const sealText = (purpose: SealContext['purpose'], secret: Secret<string>): SealedValue => {
    const id = randomBytes(ROW_ID_BYTES)
    return { id, sealed: seal({ accountId, rowId: id, purpose }, Buffer.from(secret.reveal())) }
  }
  const address = account.address.toLowerCase()
  const outcome = await store.write('createAccount', {
    accountId,
    address,
    shortName: (account.shortName ?? address).toLowerCase(),
    displayName: account.displayName,
    keyId: account.keyId,
    servers: account.servers,
    authKey: account.authKey === undefined ? null : sealText('auth-key', account.authKey),
    secretKey: sealText('secret-key', account.secretKey),
    appPassword: appPassword.row,
  })
  return outcome.kind === 'ok' ? { ...outcome, appPassword: appPassword.password } : outcome
}

/** A further app password of an account, shown once; undefined when it has one of that name. */
export async function addAppPassword(
  store: Store,
  options: {
    readonly accountId: AccountId
    readonly name: string
    readonly scopes: readonly AppPasswordScope[]
    readonly randomBytes: RandomBytes
  },
): Promise<Secret<string> | undefined> {
  const { password, row } = createAppPassword(options)
  const isAdded = await store.write('addAppPassword', { accountId: options.accountId, appPassword: row })
  return isAdded ? password : undefined
}

export type VerifyOutcome =
  /** `login` names the app password (its id in hex): one device's mail program. */
  { readonly kind: 'ok'; readonly account: Account; readonly login: string } | { readonly kind: 'refused' }

/** "Last used" is written again when it is older than this: a login must not wait for a commit each time. */
const LAST_USED_ACCURACY_MS = duration.hour
/** Compared with when there is no such account, so that the time of a refusal does not tell. */
const NOBODY = { salt: new Uint8Array(16), hash: new Uint8Array(32) }

/**
 * Checks a login (address or short name, any case) for one scope. Unknown account, disabled account, wrong password and
 * wrong scope are one and the same refusal. Throws only for our own fault; then nobody is logged in.
 */
export async function verifyAppPassword(
  store: Store,
  login: { readonly name: string; readonly password: Secret<string>; readonly scope: AppPasswordScope },
  nowMs: number,
): Promise<VerifyOutcome> {
  const account = accountByLogin(store.read, login.name)
  if (account === undefined || account.state !== 'active') {
    matchesAppPassword(login.password, NOBODY)
    return { kind: 'refused' }
  }
  const found = appPasswordHashes(store.read, account.id).find((row) =>
    matchesAppPassword(login.password, row),
  )
  if (found === undefined || !found.scopes.includes(login.scope)) return { kind: 'refused' }
  if (nowMs - (found.lastUsedAtMs ?? 0) > LAST_USED_ACCURACY_MS) await markUsed(store, found.id)
  return { kind: 'ok', account, login: Buffer.from(found.id).toString('hex') }
}

/** A full disk keeps nobody from reading (design 4). */
async function markUsed(store: Store, id: Uint8Array): Promise<void> {
  try {
    await store.write('markAppPasswordUsed', { id })
  } catch (error) {
    if (!(error instanceof DiskFullError)) throw error
  }
}

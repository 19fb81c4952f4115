import { hasControlCharacter } from '../cm/address.ts'
import { parseUtcTime } from '../cm/utc-time.ts'
import { type Account, accountById, accountByLogin } from '../store/account-queries.ts'
import { type AccountSettings, changeAccount } from '../store/account-settings.ts'
import type { DueWork } from '../store/work-rows.ts'
import { AUTH_KEY_FLAGS } from './account-places.ts'
import type { AccountSettingsOutcome, AccountSettingsRequest, BridgeOptions } from './bridge.ts'
import { isHostPort } from './config.ts'
import { givenAuthKey, type OwnCmServer, withdrawAuthKey } from './own-cm-server.ts'

/** What `account add` and `account set` take, said in one line each when it is wrong. */

/** A server's authentication key is one word in its protocol (CM wire 7.7). */
const AUTH_KEY = /^[\x21-\x7e]{1,256}$/
/** Characters of a shown name; it is part of the key's user id. */
const MAX_DISPLAY_NAME_LENGTH = 200
/** Servers of one transport, as a sender reads it; each may cost a connection. */
const MAX_SERVERS = 16
/** CM message 10.1. */
const MAILBOX_COUNTS: readonly number[] = [2, 4, 8, 16]
const COSTS: readonly number[] = [24, 32, 36, 40]
/** Days; longer is never. */
const MAX_ROTATE_DAYS = 3650
const DATE = /^\d{4}-\d{2}-\d{2}$/

export interface AccountSettingsOptions extends Pick<BridgeOptions, 'store' | 'clock' | 'randomBytes'> {
  readonly ownCmServer?: OwnCmServer | undefined
  /** The running bridge announces and polls at once; without one it does at its next start. */
  readonly onDue?: (due: readonly DueWork[]) => void
}

/** Changes settings of an account, all or none (CM message 10.1). */
export async function setAccount(
  options: AccountSettingsOptions,
  request: AccountSettingsRequest,
): Promise<AccountSettingsOutcome> {
  const { store, randomBytes, ownCmServer } = options
  const account = accountByLogin(store.read, request.account)
  if (account === undefined) return { kind: 'no-such-account' }
  const complaint = complaintAbout(request)
  if (complaint !== undefined) return { kind: 'refused', reason: complaint }
  const { account: _login, oldUntil, ...given } = request
  const authKey = await givenAuthKey(ownCmServer, {
    keyId: account.keyId,
    servers: request.servers ?? [],
    formerServers: account.servers,
    authKey: request.authKey,
  })
  const settings: AccountSettings = {
    ...given,
    authKey,
    oldUntilMs: oldUntil === undefined ? undefined : dateMs(oldUntil),
  }
  const outcome = await changeAccount(store, account.id, { settings, randomBytes })
  // Made for nothing: nobody knows it, so nobody is to log in with it.
  if (outcome.kind !== 'ok' && ownCmServer && authKey && request.authKey === undefined)
    await withdrawAuthKey(ownCmServer, authKey)
  if (outcome.kind === 'no-such-account') return outcome
  if (outcome.kind !== 'ok') return { kind: 'refused', reason: reasonOf(outcome) }
  options.onDue?.(outcome.due)
  return { kind: 'ok', account: changed(accountById(store.read, account.id)) }
}

function changed(account: Account | undefined): Account {
  if (account === undefined) throw new Error('the account is gone')
  return account
}

/** What is wrong with a request, for the user; undefined when nothing is. */
function complaintAbout(request: AccountSettingsRequest): string | undefined {
  const { displayName = '', servers, oldServers, publishServers } = request
  const { mailboxCount = 4, costBits = 24, rotateDays = 0, oldUntil } = request
  if (servers?.length === 0) return 'an account needs a server: "cmbridge account remove" ends it'
  if (!MAILBOX_COUNTS.includes(mailboxCount)) return `--mailboxes ${mailboxCount}: give 2, 4, 8 or 16`
  if (!COSTS.includes(costBits)) return `--cost ${costBits}: give 24, 32, 36 or 40`
  if (!Number.isInteger(rotateDays) || rotateDays < 0 || rotateDays > MAX_ROTATE_DAYS) {
    return `--rotate-days ${rotateDays}: give a number of days up to ${MAX_ROTATE_DAYS}, 0 for never`
  }
  if (oldUntil !== undefined && dateMs(oldUntil) === undefined) {
    return `--old-until ${oldUntil}: give a day like 2026-12-24, or a time like 2026-12-24T18:00:00Z`
  }
  const keys = [request.authKey, request.oldAuthKey, request.publishAuthKey]
  return (
    displayNameComplaint(displayName) ??
    serversComplaint([...(servers ?? []), ...(oldServers ?? []), ...(publishServers ?? [])]) ??
    keys.map((key) => authKeyComplaint(key ?? undefined)).find((text) => text !== undefined)
  )
}

/** Why it cannot be a shown name, for the user; undefined when it can. */
export function displayNameComplaint(displayName: string): string | undefined {
  const isFine =
    !hasControlCharacter(displayName) &&
    !/[<>]/.test(displayName) &&
    displayName.length <= MAX_DISPLAY_NAME_LENGTH
  if (isFine) return undefined
  return `${JSON.stringify(displayName)} cannot be a name: no < or > and at most ${MAX_DISPLAY_NAME_LENGTH} characters`
}

/** What is wrong with HOST:PORTs or their number, for the user; undefined when nothing is. */
export function serversComplaint(servers: readonly string[]): string | undefined {
  if (servers.length > MAX_SERVERS) return `an account has at most ${MAX_SERVERS} servers`
  const wrong = servers.find((server) => !isHostPort(server))
  return wrong === undefined
    ? undefined
    : `${JSON.stringify(wrong)} is no server: give HOST:PORT, like cm.example.org:8081`
}

/** Why it cannot be an authentication key, for the user, without showing it; undefined when it can. */
export function authKeyComplaint(authKey: AccountSettingsRequest['authKey']): string | undefined {
  if (authKey === undefined || authKey === null || AUTH_KEY.test(authKey.reveal())) return undefined
  return 'the authentication key must be one word, as the server printed it'
}

/** The end of a day of UTC, or a point in time; undefined for anything else. */
function dateMs(text: string): number | undefined {
  return parseUtcTime(DATE.test(text) ? `${text}T23:59:59Z` : text)
}

type Refusal = Exclude<Awaited<ReturnType<typeof changeAccount>>, { readonly kind: 'ok' | 'no-such-account' }>

function reasonOf(refusal: Refusal): string {
  switch (refusal.kind) {
    case 'auth-key-wanted': {
      const flag = AUTH_KEY_FLAGS[refusal.place]
      return `none of these servers was there before: give their key with ${flag} KEY, or ${flag} none`
    }
    case 'old-servers-in-use': {
      const until = new Date(refusal.untilMs).toISOString().slice(0, 10)
      return `mail may still come at ${refusal.servers.join(', ')} until ${until}: say with --old-server which servers are to be looked at beside the new ones, or --old-server none`
    }
    case 'no-old-servers':
      return 'there is no old server: give it with --old-server HOST:PORT'
  }
}

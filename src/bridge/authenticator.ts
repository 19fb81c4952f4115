import { type Clock, duration } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import type { Account } from '../store/account-queries.ts'
import { verifyAppPassword } from '../store/accounts.ts'
import type { Store } from '../store/open-store.ts'

/** Logins of both servers (design 6): app passwords, fail closed, with a back-off that grows with failures. */

export interface Login {
  readonly authcid: string
  readonly authzid: string
  readonly password: Secret<string>
  readonly protocol: 'imap' | 'smtp'
  readonly remoteAddress: string
}

export type AuthenticateOutcome =
  | { readonly kind: 'ok'; readonly account: Account; readonly login: string }
  | { readonly kind: 'refused' }
  | { readonly kind: 'throttled'; readonly retryAfterMs: number }

export interface Authenticator {
  authenticate(login: Login): Promise<AuthenticateOutcome>
}

/** Failures that cost nothing: a mistyped password, a client that tries twice. */
const FREE_FAILURES = 5
const FIRST_DELAY_MS = duration.second
const MAX_DELAY_MS = 5 * duration.minute
/** Names and addresses that are remembered; the oldest goes first. */
const MAX_REMEMBERED = 10_000

interface Failures {
  readonly count: number
  readonly notBeforeMs: number
}

/** Failures by remote address or by account; in memory, since a restart is no attack. */
class BackOff {
  readonly #failures = new Map<string, Failures>()

  retryAfterMs(key: string, nowMs: number): number {
    return Math.max(0, (this.#failures.get(key)?.notBeforeMs ?? 0) - nowMs)
  }

  fail(key: string, nowMs: number): void {
    const count = (this.#failures.get(key)?.count ?? 0) + 1
    const paid = count - FREE_FAILURES
    const delayMs = paid <= 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** Math.min(paid - 1, 20), MAX_DELAY_MS)
    this.#failures.delete(key)
    this.#failures.set(key, { count, notBeforeMs: nowMs + delayMs })
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > MAX_REMEMBERED && oldest !== undefined) this.#failures.delete(oldest)
  }

  succeed(key: string): void {
    this.#failures.delete(key)
  }
}

/** An authorization identity other than the login's own, and an empty authentication identity, are refused (case S05). */
export function createAuthenticator(options: {
  readonly store: Store
  readonly clock: Clock
}): Authenticator {
  const { store, clock } = options
  const backOff = new BackOff()
  return {
    async authenticate(login) {
      const nowMs = clock.now()
      const keys = backOffKeys(login)
      const retryAfterMs = Math.max(...keys.map((key) => backOff.retryAfterMs(key, nowMs)))
      if (retryAfterMs > 0) return { kind: 'throttled', retryAfterMs }
      const outcome = await verify(store, login, nowMs)
      for (const key of keys) {
        if (outcome.kind === 'ok') backOff.succeed(key)
        else backOff.fail(key, nowMs)
      }
      return outcome
    },
  }
}

/**
 * A whole household comes from 127.0.0.1: there one program with an old password must not lock out the others, so only
 * the account counts.
 */
function backOffKeys(login: Login): string[] {
  const account = `as ${login.authcid.toLowerCase()}`
  return isLoopback(login.remoteAddress) ? [account] : [account, `from ${login.remoteAddress}`]
}

/** RFC 1122 3.2.1.3, RFC 4291 2.5.3, and the mapped form that dual-stack sockets show. */
function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\.|^::1$/.test(address)
}

async function verify(store: Store, login: Login, nowMs: number): Promise<AuthenticateOutcome> {
  if (login.authcid === '') return { kind: 'refused' }
  const { authcid: name, password, protocol: scope } = login
  const outcome = await verifyAppPassword(store, { name, password, scope }, nowMs)
  if (outcome.kind !== 'ok') return outcome
  const own = [outcome.account.address, outcome.account.shortName]
  const isOwn = login.authzid === '' || own.includes(login.authzid.trim().toLowerCase())
  return isOwn ? outcome : { kind: 'refused' }
}

import type { Clock } from '../base/clock.ts'
import type { AccountId } from '../store/ids.ts'

export interface ConnectedAccountsOptions {
  readonly clock: Clock
  /** Milliseconds a login counts for by itself: until the session opens a mailbox, or the next login of one that never does. */
  readonly loginCountsMs: number
  readonly hasOpenMailbox: (accountId: AccountId) => boolean
}

/** Accounts whose owner is connected by IMAP: their mail is looked for more often (design 8.1). */
export class ConnectedAccounts {
  readonly #options: ConnectedAccountsOptions
  readonly #loginMs = new Map<AccountId, number>()

  constructor(options: ConnectedAccountsOptions) {
    this.#options = options
  }

  /** A login just now. */
  add(accountId: AccountId): void {
    this.#loginMs.set(accountId, this.#options.clock.now())
  }

  has(accountId: AccountId): boolean {
    const { clock, loginCountsMs, hasOpenMailbox } = this.#options
    const loginMs = this.#loginMs.get(accountId)
    const isRecent = loginMs !== undefined && clock.now() - loginMs < loginCountsMs
    return isRecent || hasOpenMailbox(accountId)
  }
}

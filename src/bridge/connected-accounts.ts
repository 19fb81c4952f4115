import type { AccountId } from '../store/ids.ts'

/** Accounts whose owner logged in by IMAP since the bridge started: their mail is looked for more often (design 8.1). */
export class ConnectedAccounts {
  readonly #accounts = new Set<AccountId>()

  add(accountId: AccountId): void {
    this.#accounts.add(accountId)
  }

  has(accountId: AccountId): boolean {
    return this.#accounts.has(accountId)
  }
}

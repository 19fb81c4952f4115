import { duration } from '../base/clock.ts'
import type { KeyId } from '../cm/ids.ts'
import { type Account, listAccounts } from '../store/account-queries.ts'
import { staleContacts } from '../store/contact-queries.ts'
import type { AccountId } from '../store/ids.ts'
import type { BridgeContext } from './bridge-context.ts'
import { jittered } from './retry-delay.ts'
import { type RivalContext, refreshContact, tellOwnRivals } from './rivals.ts'

/** Contacts' keys are fetched again weekly, with a look for rivals (design 9). */
const STALE_AFTER_MS = 7 * duration.day
/** Between passes, jittered, so that bridges do not ask in step and nobody learns a rhythm. */
const EVERY_MS = duration.hour
/** The first pass after a start: mail goes first. */
const FIRST_AFTER_MS = 5 * duration.minute
/** Contacts of one account in a pass: 1,600 a week, and never a burst of connections. */
const CONTACTS_A_PASS = 10
/** Rows looked through for those: contacts that cannot be fetched must not stand in the way of the others. */
const MAX_STALE = 1000
/** What could not be fetched is tried again after this; the account's own address is looked up as often. */
const AGAIN_AFTER_MS = duration.day

/** Keeps contacts fresh in the background, one after the other; returns what ends it. */
export function startContactRefresh(context: BridgeContext): () => Promise<void> {
  const ended = new AbortController()
  const refresh = new ContactRefresh({ ...context, ended: ended.signal })
  let running: Promise<void> = Promise.resolve()
  let cancel = (): void => undefined
  const schedule = (delayMs: number): void => {
    if (ended.signal.aborted) return
    cancel = context.clock.after(jittered(delayMs, context.random()), run)
  }
  const run = (): void => {
    running = refresh
      .pass()
      .catch((cause: unknown) => context.log.error({ cause }, 'refreshing contacts failed'))
      .then(() => schedule(EVERY_MS))
  }
  schedule(FIRST_AFTER_MS)
  return async () => {
    ended.abort()
    cancel()
    await running
  }
}

/** One pass over all accounts at a time; remembers what it tried, so that what cannot be fetched waits for a day. */
export class ContactRefresh {
  readonly #context: RivalContext & { readonly ended: AbortSignal }
  readonly #tried = new Map<string, number>()

  constructor(context: RivalContext & { readonly ended: AbortSignal }) {
    this.#context = context
  }

  async pass(): Promise<void> {
    for (const account of listAccounts(this.#context.store.read)) {
      if (!this.#wasTried(account.id, account.keyId)) {
        this.#noteTry(account.id, account.keyId)
        await tellOwnRivals(this.#context, account)
      }
      await this.#refreshContacts(account)
    }
  }

  async #refreshContacts(account: Account): Promise<void> {
    const { store, clock, ended } = this.#context
    const given = { beforeMs: clock.now() - STALE_AFTER_MS, limit: MAX_STALE }
    const due = staleContacts(store.read, account.id, given)
      .filter(({ keyId }) => !this.#wasTried(account.id, keyId))
      .slice(0, CONTACTS_A_PASS)
    for (const contact of due) {
      if (ended.aborted) return
      this.#noteTry(account.id, contact.keyId)
      await refreshContact(this.#context, account, contact)
    }
  }

  #wasTried(accountId: AccountId, keyId: KeyId): boolean {
    const triedMs = this.#tried.get(`${accountId} ${keyId}`)
    return triedMs !== undefined && this.#context.clock.now() - triedMs < AGAIN_AFTER_MS
  }

  #noteTry(accountId: AccountId, keyId: KeyId): void {
    const nowMs = this.#context.clock.now()
    for (const [name, triedMs] of this.#tried) if (nowMs - triedMs >= AGAIN_AFTER_MS) this.#tried.delete(name)
    this.#tried.set(`${accountId} ${keyId}`, nowMs)
  }
}

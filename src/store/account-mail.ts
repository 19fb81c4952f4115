import type {
  AccountMail,
  AppendOutcome,
  AppendSink,
  MailboxChange,
  MailboxInfo,
  MailboxOutcome,
  MailboxStatus,
  OpenMailbox,
} from '../imap/port.ts'
import { type AppendContext, createAppendSink, type PendingAppend } from './append-sink.ts'
import { DiskFullError } from './errors.ts'
import type { AccountId } from './ids.ts'
import { OUTBOX, OUTBOX_REASON } from './mailbox-names.ts'
import { findMailboxState, listMailboxes, listSubscriptions } from './mailbox-queries.ts'
import { openMailbox } from './open-mailbox.ts'
import type { Store } from './open-store.ts'

export interface AccountMailOptions {
  readonly store: Store
  readonly accountId: AccountId
  /** Shown in logs and ID answers: the account's address. */
  readonly accountName: string
  /** Octets: the largest message APPEND takes. */
  readonly maxMessageBytes: number
  readonly policy?: AccountMailPolicy
}

/** What the bridge may decide about a client's APPEND (design 7.10: one Sent copy). */
export interface AccountMailPolicy {
  /**
   * Called with the durable bytes, before they enter the mailbox. `undefined`: go on. An outcome: the client is told
   * that, and the store does nothing more; bytes that no row refers to by then are removed.
   */
  beforeAppend?(append: PendingAppend): Promise<AppendOutcome | undefined>
}

/** The mail of one account on the store. Any number of sessions may share one. */
export function createAccountMail(options: AccountMailOptions): AccountMail {
  return new StoreAccountMail(options)
}

class StoreAccountMail implements AccountMail {
  readonly #options: AccountMailOptions

  constructor(options: AccountMailOptions) {
    this.#options = options
  }

  get accountName(): string {
    return this.#options.accountName
  }

  get maxMessageBytes(): number {
    return this.#options.maxMessageBytes
  }

  async listMailboxes(): Promise<readonly MailboxInfo[]> {
    return listMailboxes(this.#store.read, this.#accountId)
  }

  createMailbox(name: string): Promise<MailboxOutcome> {
    return this.#store.write('createMailbox', { accountId: this.#accountId, name })
  }

  deleteMailbox(name: string): Promise<MailboxOutcome> {
    return this.#store.write('deleteMailbox', { accountId: this.#accountId, name })
  }

  renameMailbox(from: string, to: string): Promise<MailboxOutcome> {
    return this.#store.write('renameMailbox', { accountId: this.#accountId, from, to })
  }

  setSubscribed(name: string, subscribed: boolean): Promise<MailboxOutcome> {
    return this.#store.write('setSubscribed', { accountId: this.#accountId, name, subscribed })
  }

  async listSubscriptions(): Promise<readonly string[]> {
    return listSubscriptions(this.#store.read, this.#accountId)
  }

  async status(name: string): Promise<MailboxStatus | undefined> {
    const state = findMailboxState(this.#store.read, this.#accountId, name)
    if (state === undefined) return undefined
    const { id: _id, name: _name, ...status } = state
    return status
  }

  async open(name: string, onChange: (change: MailboxChange) => void): Promise<OpenMailbox | undefined> {
    return openMailbox({ store: this.#store, accountId: this.#accountId, name, onChange })
  }

  async beginAppend(name: string, sizeBytes: number): Promise<AppendSink | AppendOutcome> {
    if (sizeBytes > this.maxMessageBytes) {
      return { kind: 'limit', reason: `a message may have at most ${this.maxMessageBytes} octets` }
    }
    const mailbox = findMailboxState(this.#store.read, this.#accountId, name)
    if (mailbox === undefined) return { kind: 'no-such-mailbox' }
    if (mailbox.name === OUTBOX) return { kind: 'refused', reason: OUTBOX_REASON }
    try {
      const spool = await this.#store.beginSpool(this.#accountId, sizeBytes)
      return createAppendSink(this.#appendContext(mailbox.name), spool)
    } catch (error) {
      if (error instanceof DiskFullError) return { kind: 'limit', reason: 'the disk is full' }
      throw error
    }
  }

  #appendContext(mailboxName: string): AppendContext {
    const beforeAppend = this.#options.policy?.beforeAppend
    return {
      store: this.#store,
      accountId: this.#accountId,
      mailboxName,
      maxMessageBytes: this.maxMessageBytes,
      beforeAppend: async (append) => beforeAppend?.call(this.#options.policy, append),
    }
  }

  get #store(): Store {
    return this.#options.store
  }

  get #accountId(): AccountId {
    return this.#options.accountId
  }
}

import type { Clock } from '../base/clock.ts'
import type {
  AccountMail,
  AppendOutcome,
  AppendSink,
  CopyOutcome,
  MailboxChange,
  MailboxInfo,
  MailboxOutcome,
  MailboxStatus,
  MessageRecord,
  OpenMailbox,
  Uid,
} from '../imap/port.ts'
import { SYSTEM_FLAGS } from '../mail/flags.ts'
import { indexMessage } from '../mail/index-message.ts'
import type { ByteRange } from '../mail/message-index.ts'
import {
  DEFAULT_MAILBOXES,
  INBOX,
  isBelow,
  isDefaultMailbox,
  normalizeName,
  OUTBOX,
  OUTBOX_REASON,
  parentNames,
  validateName,
} from './mailbox-names.ts'
import { MemoryMailbox, toSummary } from './memory-mailbox.ts'

export interface MemoryAccountMailOptions {
  readonly accountName: string
  readonly maxMessageBytes: number
  readonly clock: Clock
}

const OK: MailboxOutcome = { kind: 'ok' }
const NUL_REASON = 'the message contains NUL'

/** AccountMail without a disk, for tests of what stands on the port; held to the same contract as the store's. */
export class MemoryAccountMail implements AccountMail {
  readonly accountName: string
  readonly maxMessageBytes: number
  readonly #clock: Clock
  /** By name; undefined for a name that is only a parent. */
  readonly #mailboxes = new Map<string, MemoryMailbox | undefined>()
  readonly #subscriptions = new Set<string>()
  #lastUidValidity: number

  constructor(options: MemoryAccountMailOptions) {
    this.accountName = options.accountName
    this.maxMessageBytes = options.maxMessageBytes
    this.#clock = options.clock
    this.#lastUidValidity = Math.floor(options.clock.now() / 1000)
    for (const { name, specialUse } of DEFAULT_MAILBOXES) {
      this.#mailboxes.set(name, this.#newMailbox(name, specialUse))
      this.#subscriptions.add(name)
    }
  }

  async listMailboxes(): Promise<readonly MailboxInfo[]> {
    return [...this.#mailboxes].sort(byName).map(([name, mailbox]) => ({
      name,
      specialUse: mailbox?.identity.specialUse ?? null,
      subscribed: this.#subscriptions.has(name),
      selectable: mailbox !== undefined,
    }))
  }

  async createMailbox(given: string): Promise<MailboxOutcome> {
    const valid = validateName(given)
    if (valid.kind === 'refused') return valid
    if (this.#mailboxes.get(valid.name) !== undefined) return { kind: 'already-exists' }
    this.#insert(valid.name)
    return OK
  }

  async deleteMailbox(given: string): Promise<MailboxOutcome> {
    const name = normalizeName(given)
    if (!this.#mailboxes.has(name)) return { kind: 'no-such-mailbox' }
    if (isDefaultMailbox(name)) return refused(`${name} cannot be deleted`)
    const mailbox = this.#mailboxes.get(name)
    const hasChildren = [...this.#mailboxes.keys()].some((other) => isBelow(other, name))
    if (hasChildren && mailbox === undefined) return refused(`${name} has mailboxes below it`)
    if (hasChildren) this.#mailboxes.set(name, undefined)
    else this.#mailboxes.delete(name)
    mailbox?.publish({ kind: 'deleted' })
    return OK
  }

  async renameMailbox(givenFrom: string, givenTo: string): Promise<MailboxOutcome> {
    const from = normalizeName(givenFrom)
    if (!this.#mailboxes.has(from)) return { kind: 'no-such-mailbox' }
    const to = validateName(givenTo)
    if (to.kind === 'refused') return to
    if (this.#mailboxes.has(to.name)) return { kind: 'already-exists' }
    if (from === INBOX) return this.#renameInbox(to.name)
    if (isDefaultMailbox(from)) return refused(`${from} cannot be renamed`)
    if (isBelow(to.name, from)) return refused('a mailbox cannot move below itself')
    return this.#renameTree(from, to.name)
  }

  async setSubscribed(given: string, subscribed: boolean): Promise<MailboxOutcome> {
    const valid = validateName(given)
    if (!subscribed) this.#subscriptions.delete(normalizeName(given))
    else if (valid.kind === 'refused') return valid
    else this.#subscriptions.add(valid.name)
    return OK
  }

  async listSubscriptions(): Promise<readonly string[]> {
    return [...this.#subscriptions].sort((a, b) => (a < b ? -1 : 1))
  }

  async status(name: string): Promise<MailboxStatus | undefined> {
    return this.#find(name)?.status()
  }

  async open(name: string, onChange: (change: MailboxChange) => void): Promise<OpenMailbox | undefined> {
    const mailbox = this.#find(name)
    return mailbox === undefined
      ? undefined
      : openMemoryMailbox(mailbox, { onChange, find: (target) => this.#find(target) })
  }

  async beginAppend(name: string, sizeBytes: number): Promise<AppendSink | AppendOutcome> {
    if (sizeBytes > this.maxMessageBytes) {
      return { kind: 'limit', reason: `a message may have at most ${this.maxMessageBytes} octets` }
    }
    const mailbox = this.#find(name)
    if (mailbox === undefined) return { kind: 'no-such-mailbox' }
    if (mailbox.identity.name === OUTBOX) return { kind: 'refused', reason: OUTBOX_REASON }
    return this.#appendSink(normalizeName(name))
  }

  #appendSink(name: string): AppendSink {
    const chunks: Uint8Array[] = []
    return {
      write: async (bytes) => {
        chunks.push(Uint8Array.from(bytes))
      },
      commit: async ({ flags, internalDate }) => {
        const bytes = new Uint8Array(Buffer.concat(chunks))
        if (bytes.includes(0)) return { kind: 'refused', reason: NUL_REASON }
        const index = await indexMessage(streamOf(bytes))
        const mailbox = this.#find(name)
        if (mailbox === undefined) return { kind: 'no-such-mailbox' }
        const content = { bytes, index, internalDate: internalDate ?? new Date(this.#clock.now()) }
        const uid = mailbox.insert(content, flags)
        return { kind: 'ok', uidValidity: mailbox.identity.uidValidity, uid }
      },
      discard: async () => {
        chunks.length = 0
      },
    }
  }

  #renameInbox(name: string): MailboxOutcome {
    const inbox = this.#find(INBOX)
    const to = this.#insert(name)
    for (const message of inbox?.messages.values() ?? []) to.insert(message.content, message.flags)
    inbox?.remove([...inbox.messages.keys()])
    return OK
  }

  #renameTree(from: string, to: string): MailboxOutcome {
    const moved = [...this.#mailboxes].filter(([name]) => name === from || isBelow(name, from))
    const renamed = moved.map(([name, mailbox]) => ({ name, mailbox, to: to + name.slice(from.length) }))
    for (const row of renamed) {
      const valid = validateName(row.to)
      if (valid.kind === 'refused') return valid
    }
    for (const row of renamed) {
      this.#mailboxes.delete(row.name)
      this.#insertParents(row.to)
      this.#mailboxes.set(row.to, row.mailbox)
      if (row.mailbox !== undefined) row.mailbox.identity.name = row.to
    }
    return OK
  }

  #find(name: string): MemoryMailbox | undefined {
    return this.#mailboxes.get(normalizeName(name))
  }

  #insert(name: string): MemoryMailbox {
    this.#insertParents(name)
    const mailbox = this.#newMailbox(name, null)
    this.#mailboxes.set(name, mailbox)
    return mailbox
  }

  #insertParents(name: string): void {
    for (const parent of parentNames(name)) {
      if (!this.#mailboxes.has(parent)) this.#mailboxes.set(parent, undefined)
    }
  }

  #newMailbox(name: string, specialUse: MailboxInfo['specialUse']): MemoryMailbox {
    this.#lastUidValidity += 1
    return new MemoryMailbox({ name, specialUse, uidValidity: this.#lastUidValidity })
  }
}

function openMemoryMailbox(
  mailbox: MemoryMailbox,
  options: {
    readonly onChange: (change: MailboxChange) => void
    readonly find: (name: string) => MemoryMailbox | undefined
  },
): OpenMailbox {
  const copyTo = async (uids: readonly Uid[], name: string): Promise<CopyOutcome> => {
    const target = options.find(name)
    if (target === undefined) return { kind: 'no-such-mailbox' }
    if (target.identity.name === OUTBOX) return { kind: 'refused', reason: OUTBOX_REASON }
    const pairs = mailbox
      .find(uids)
      .map((message) => ({ from: message.uid, to: target.insert(message.content, message.flags) }))
    return { kind: 'ok', uidValidity: target.identity.uidValidity, pairs }
  }
  const opened = {
    name: mailbox.identity.name,
    uidValidity: mailbox.identity.uidValidity,
    messages: [...mailbox.messages.values()].map(toSummary),
    uidNext: mailbox.uidNext,
    highestModSeq: mailbox.highestModSeq,
    knownFlags: [...SYSTEM_FLAGS, ...mailbox.knownKeywords],
  }
  const watcher = (change: MailboxChange): void => options.onChange(change)
  mailbox.watchers.add(watcher)
  return {
    ...opened,
    async *fetch(uids): AsyncIterable<MessageRecord> {
      for (const message of mailbox.find(uids)) {
        const { internalDate, index } = message.content
        yield { ...toSummary(message), internalDate, index }
      }
    },
    async readBody(uid: Uid, range: ByteRange) {
      const message = mailbox.messages.get(uid) ?? mailbox.removed.get(uid)
      return message === undefined
        ? undefined
        : streamOf(message.content.bytes.subarray(range.start, range.end))
    },
    storeFlags: async (uids, mode, flags) => mailbox.storeFlags(uids, mode, flags),
    copyTo,
    async moveTo(uids, name) {
      const outcome = await copyTo(uids, name)
      if (outcome.kind === 'ok') mailbox.remove(outcome.pairs.map((pair) => pair.from))
      return outcome
    },
    async expunge(uids) {
      const wanted = uids ?? [...mailbox.messages.keys()]
      const deleted = mailbox.find(wanted).filter((message) => message.flags.includes('\\Deleted'))
      return mailbox.remove(deleted.map((message) => message.uid))
    },
    close() {
      mailbox.watchers.delete(watcher)
    },
  }
}

function refused(reason: string): MailboxOutcome {
  return { kind: 'refused', reason }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

async function* streamOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  if (bytes.length > 0) yield bytes
}

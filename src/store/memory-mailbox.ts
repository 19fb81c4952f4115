import type { MailboxChange, MailboxStatus, MessageSummary, SpecialUse, Uid } from '../imap/port.ts'
import type { Flag } from '../mail/flags.ts'
import type { MessageIndex } from '../mail/message-index.ts'
import { changeFlags, toFlagColumns, toFlags } from './flag-columns.ts'

/** A message held in memory; copies share bytes and index. */
export interface MemoryContent {
  readonly bytes: Uint8Array
  readonly index: MessageIndex
  readonly internalDate: Date
}

export interface MemoryMessage extends MessageSummary {
  readonly content: MemoryContent
}

export interface MemoryMailboxIdentity {
  name: string
  readonly specialUse: SpecialUse | null
  readonly uidValidity: number
}

/** One mailbox of MemoryAccountMail: the rules of UID, MODSEQ and flags, and who watches. */
export class MemoryMailbox {
  readonly identity: MemoryMailboxIdentity
  readonly messages = new Map<Uid, MemoryMessage>()
  /** Removed messages, whose bodies stay readable. */
  readonly removed = new Map<Uid, MemoryMessage>()
  readonly watchers = new Set<(change: MailboxChange) => void>()
  readonly #keywords = new Map<string, Flag>()
  uidNext = 1
  highestModSeq = 1

  constructor(identity: MemoryMailboxIdentity) {
    this.identity = identity
  }

  get knownKeywords(): readonly Flag[] {
    return [...this.#keywords.values()]
  }

  status(): MailboxStatus {
    const messages = [...this.messages.values()]
    return {
      messages: messages.length,
      unseen: messages.filter((message) => !message.flags.includes('\\Seen')).length,
      deleted: messages.filter((message) => message.flags.includes('\\Deleted')).length,
      size: messages.reduce((sum, message) => sum + message.content.bytes.length, 0),
      uidNext: this.uidNext,
      uidValidity: this.identity.uidValidity,
      highestModSeq: this.highestModSeq,
    }
  }

  insert(content: MemoryContent, flags: readonly Flag[]): Uid {
    const uid = this.uidNext as Uid
    this.uidNext += 1
    this.highestModSeq += 1
    const message = { uid, modSeq: this.highestModSeq, flags: this.#canonical(flags), content }
    this.messages.set(uid, message)
    this.publish({ kind: 'added', message: toSummary(message) })
    return uid
  }

  /** Those of the UIDs that are there, ascending. */
  find(uids: readonly Uid[]): MemoryMessage[] {
    const wanted = new Set(uids)
    return [...this.messages.values()].filter((message) => wanted.has(message.uid))
  }

  storeFlags(
    uids: readonly Uid[],
    mode: 'replace' | 'add' | 'remove',
    flags: readonly Flag[],
  ): MessageSummary[] {
    const found = this.find(uids)
    if (found.length === 0) return []
    const given = toFlagColumns(mode === 'remove' ? flags : this.#canonical(flags))
    let modSeq: number | undefined
    return found.map((message) => {
      const next = changeFlags(toFlagColumns(message.flags), mode, given)
      const nextFlags = toFlags(next.systemFlags, next.keywords.join(' '))
      if (nextFlags.join(' ') === message.flags.join(' ')) return toSummary(message)
      if (modSeq === undefined) {
        this.highestModSeq += 1
        modSeq = this.highestModSeq
      }
      const changed = { ...message, flags: nextFlags, modSeq }
      this.messages.set(message.uid, changed)
      this.publish({ kind: 'flags', message: toSummary(changed) })
      return toSummary(changed)
    })
  }

  /** Removes those of the UIDs that are there; returns them ascending. */
  remove(uids: readonly Uid[]): Uid[] {
    const found = this.find(uids)
    if (found.length > 0) this.highestModSeq += 1
    for (const message of found) {
      this.messages.delete(message.uid)
      this.removed.set(message.uid, message)
      this.publish({ kind: 'expunged', uid: message.uid, modSeq: this.highestModSeq })
    }
    return found.map((message) => message.uid)
  }

  publish(change: MailboxChange): void {
    for (const watcher of [...this.watchers]) watcher(change)
  }

  /** Our spelling of system flags, the mailbox's first spelling of keywords. */
  #canonical(flags: readonly Flag[]): Flag[] {
    const columns = toFlagColumns(flags)
    const keywords = columns.keywords.map((keyword) => {
      const known = this.#keywords.get(keyword.toLowerCase()) ?? keyword
      this.#keywords.set(keyword.toLowerCase(), known)
      return known
    })
    return toFlags(columns.systemFlags, keywords.join(' '))
  }
}

export function toSummary(message: MessageSummary): MessageSummary {
  return { uid: message.uid, modSeq: message.modSeq, flags: message.flags }
}

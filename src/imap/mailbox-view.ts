import { type Flag, SYSTEM_FLAGS } from '../mail/flags.ts'
import type { MailboxChange, MessageSummary, StoreFlagsMode, Uid } from './port.ts'
import type { Untagged } from './response.ts'
import { type NumberRange, normalizeSet, type SeqNum, type SequenceSet } from './sequence-set.ts'

/** One message as this session knows it. */
export interface ViewedMessage {
  readonly seqNum: SeqNum
  readonly uid: Uid
  readonly flags: readonly Flag[]
}

interface Entry {
  readonly uid: Uid
  modSeq: number
  flags: readonly Flag[]
}

/** A STORE as it was asked for, to tell its own effect from that of others. */
export interface AppliedStore {
  readonly mode: StoreFlagsMode
  readonly flags: readonly Flag[]
  readonly silent: boolean
}

/**
 * The selected mailbox as one session sees it: which sequence number means which message (RFC 9051 2.3.1.2). Changes
 * of others wait here, joined per message, until a command lets them out by `flush`; so a sequence number never moves
 * while the client may be using it (RFC 9051 7.5.1). Pure: no clock, no I/O.
 */
export class MailboxView {
  #entries: Entry[] = []
  #largestUid = 0
  #keywords = new Set<string>()
  #knownFlags: readonly Flag[] = []
  #added = new Map<Uid, MessageSummary>()
  #changed = new Map<Uid, MessageSummary>()
  #expunged = new Set<Uid>()
  /** Messages whose flags the client has yet to be told. */
  #untold = new Set<Uid>()
  #isDeleted = false as boolean
  readonly #isReadOnly: boolean

  constructor(options: { readonly isReadOnly: boolean }) {
    this.#isReadOnly = options.isReadOnly
  }

  /** The snapshot at SELECT; changes that came before it are kept. */
  start(messages: readonly MessageSummary[], knownFlags: readonly Flag[]): void {
    this.#entries = messages.map(({ uid, modSeq, flags }) => ({ uid, modSeq, flags }))
    this.#largestUid = messages.at(-1)?.uid ?? 0
    this.#learnKeywords(SYSTEM_FLAGS)
    this.#learnKeywords(knownFlags)
    for (const { flags } of messages) this.#learnKeywords(flags)
  }

  /** The number of messages the client was told. */
  get size(): number {
    return this.#entries.length
  }

  /** The UID of the last message, 0 in an empty mailbox. */
  get lastUid(): number {
    return this.#entries.at(-1)?.uid ?? 0
  }

  /** System flags and keywords the client was told. */
  get knownFlags(): readonly Flag[] {
    return this.#knownFlags
  }

  /** The mailbox is gone (or became another): the session must end. */
  get isDeleted(): boolean {
    return this.#isDeleted
  }

  /** PERMANENTFLAGS (RFC 9051 7.1): none when opened read-only, else all and any new keyword. */
  get permanentFlags(): readonly Flag[] {
    return this.#isReadOnly ? [] : [...this.#knownFlags, '\\*']
  }

  /** True when `flush` has something to say. */
  get hasNews(): boolean {
    return (
      this.#added.size + this.#changed.size + this.#expunged.size + this.#untold.size > 0 || this.#isDeleted
    )
  }

  /** All messages, in order. */
  *messages(): Generator<ViewedMessage, void> {
    for (const [index, { uid, flags }] of this.#entries.entries()) yield { seqNum: index + 1, uid, flags }
  }

  /** The sequence number of a message the client knows. */
  seqNumOf(uid: Uid): SeqNum | undefined {
    const index = this.#indexFrom(uid)
    return this.#entries[index]?.uid === uid ? index + 1 : undefined
  }

  /** The first message without `\Seen`. */
  get firstUnseen(): SeqNum | undefined {
    const index = this.#entries.findIndex(({ flags }) => !flags.includes('\\Seen'))
    return index === -1 ? undefined : index + 1
  }

  /**
   * The messages a UID set names; UIDs that are not there name none (RFC 9051 6.4.9). `*` is the largest UID here, so
   * `559:*` always names the last message.
   */
  byUid(set: SequenceSet): readonly ViewedMessage[] {
    return normalizeSet(set, this.lastUid).flatMap(({ low, high }) =>
      this.#slice(this.#indexFrom(low), this.#indexFrom(high + 1)),
    )
  }

  /** The messages a set of sequence numbers names, or undefined when it goes past the last one (RFC 3501 9, seq-number). */
  bySeqNum(set: SequenceSet): readonly ViewedMessage[] | undefined {
    const ranges = normalizeSet(set, this.#entries.length)
    const inRange = ({ low, high }: NumberRange): boolean => low >= 1 && high <= this.#entries.length
    if (!ranges.every(inRange)) return undefined
    return ranges.flatMap(({ low, high }) => this.#slice(low - 1, high))
  }

  #slice(start: number, end: number): ViewedMessage[] {
    return this.#entries
      .slice(start, end)
      .map(({ uid, flags }, offset) => ({ seqNum: start + offset + 1, uid, flags }))
  }

  /** Index of the first message with that UID or a larger one. */
  #indexFrom(uid: number): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#entries[middle]?.uid ?? 0) < uid) low = middle + 1
      else high = middle
    }
    return low
  }

  #entry(uid: Uid): Entry | undefined {
    const entry = this.#entries[this.#indexFrom(uid)]
    return entry?.uid === uid ? entry : undefined
  }

  /** A committed change. It waits; only the latest flags of a message are kept. */
  apply(change: MailboxChange): void {
    switch (change.kind) {
      case 'deleted':
        this.#isDeleted = true
        return
      case 'expunged':
        this.#changed.delete(change.uid)
        this.#added.delete(change.uid)
        // A message that came and went unseen is never spoken of: it is in no snapshot, and `flush` finds no entry.
        this.#expunged.add(change.uid)
        return
      case 'added':
        this.#added.set(change.message.uid, change.message)
        return
      case 'flags': {
        const { message } = change
        const pending = this.#added.has(message.uid) ? this.#added : this.#changed
        const known = pending.get(message.uid)
        if (known === undefined || known.modSeq < message.modSeq) pending.set(message.uid, message)
      }
    }
  }

  /** Messages this session's own EXPUNGE or MOVE removed; the store's announcement of them may come before or after. */
  removed(uids: readonly Uid[]): void {
    for (const uid of uids) if (this.#entry(uid) !== undefined) this.#expunged.add(uid)
  }

  /** The outcome of this session's STORE. A silent one is told only where somebody else's change is in it. */
  stored(outcome: readonly MessageSummary[], store: AppliedStore): void {
    for (const message of outcome) {
      const entry = this.#entry(message.uid)
      if (entry === undefined) continue
      const expected = applyStore(entry.flags, store)
      const isOurs = message.modSeq >= entry.modSeq && sameFlags(expected, message.flags)
      if (message.modSeq >= entry.modSeq) {
        entry.flags = message.flags
        entry.modSeq = message.modSeq
      }
      if (!store.silent || !isOurs) this.#untold.add(message.uid)
    }
  }

  /** These flags are told by the answer that is being given. */
  told(message: MessageSummary): void {
    const entry = this.#entry(message.uid)
    if (entry === undefined || message.modSeq < entry.modSeq) return
    entry.flags = message.flags
    entry.modSeq = message.modSeq
    this.#untold.delete(message.uid)
  }

  /** The newest flags of a message, which the caller tells the client. */
  tellFlags(uid: Uid): readonly Flag[] {
    this.#takeFlags(uid)
    this.#untold.delete(uid)
    return this.#entry(uid)?.flags ?? []
  }

  /** The newest pending flags move into the entry; still to be told. */
  #takeFlags(uid: Uid): void {
    const pending = this.#changed.get(uid)
    const entry = this.#entry(uid)
    this.#changed.delete(uid)
    if (pending === undefined || entry === undefined || pending.modSeq <= entry.modSeq) return
    entry.flags = pending.flags
    entry.modSeq = pending.modSeq
    this.#untold.add(uid)
  }

  /**
   * What the client may be told now, and with that knows: EXPUNGE (unless held back during FETCH, STORE and SEARCH),
   * EXISTS only when the number of messages grew, then flags.
   */
  flush(options: { readonly expunges: 'told' | 'held' }): readonly Untagged[] {
    const news: Untagged[] = options.expunges === 'told' ? this.#flushExpunged() : []
    news.push(...this.#flushAdded())
    for (const uid of [...this.#changed.keys()]) this.#takeFlags(uid)
    news.push(...this.#flushFlags())
    return news
  }

  #flushExpunged(): Untagged[] {
    const news: Untagged[] = []
    const kept: Entry[] = []
    for (const entry of this.#expunged.size === 0 ? [] : this.#entries) {
      if (this.#expunged.has(entry.uid)) news.push({ kind: 'EXPUNGE', seqNum: kept.length + 1 })
      else kept.push(entry)
    }
    if (news.length > 0) this.#entries = kept
    for (const uid of this.#expunged) this.#untold.delete(uid)
    this.#expunged.clear()
    return news
  }

  #flushAdded(): Untagged[] {
    const before = this.#entries.length
    const arrived = [...this.#added.values()].sort((a, b) => a.uid - b.uid)
    this.#added.clear()
    for (const { uid, modSeq, flags } of arrived) {
      // In the snapshot already: the change was on its way while the mailbox was opened.
      if (uid <= this.#largestUid) this.#changed.set(uid, { uid, modSeq, flags })
      else {
        this.#entries.push({ uid, modSeq, flags })
        this.#largestUid = uid
      }
    }
    if (this.#entries.length === before) return []
    return [{ kind: 'EXISTS', count: this.#entries.length }]
  }

  #flushFlags(): Untagged[] {
    const told = [...this.#untold].sort((a, b) => a - b)
    this.#untold.clear()
    const news: Untagged[] = []
    for (const uid of told) {
      const seqNum = this.seqNumOf(uid)
      const entry = this.#entry(uid)
      if (seqNum === undefined || entry === undefined || this.#expunged.has(uid)) continue
      news.push(...this.learnFlags(entry.flags))
      news.push({
        kind: 'FETCH',
        seqNum,
        items: [
          { kind: 'UID', uid },
          { kind: 'FLAGS', flags: entry.flags },
        ],
      })
    }
    return news
  }

  /** FLAGS and PERMANENTFLAGS anew when there is a keyword the client has not heard of (RFC 9051 7.3.5), else nothing. */
  learnFlags(flags: readonly Flag[]): readonly Untagged[] {
    if (!this.#learnKeywords(flags)) return []
    return [
      { kind: 'FLAGS', flags: this.#knownFlags },
      {
        kind: 'condition',
        status: 'OK',
        code: { kind: 'PERMANENTFLAGS', flags: this.permanentFlags },
        text: 'New keyword',
      },
    ]
  }

  #learnKeywords(flags: readonly Flag[]): boolean {
    const fresh = flags.filter((flag) => {
      const folded = flag.toLowerCase()
      if (this.#keywords.has(folded)) return false
      this.#keywords.add(folded)
      return true
    })
    if (fresh.length > 0) this.#knownFlags = [...this.#knownFlags, ...fresh]
    return fresh.length > 0
  }
}

function applyStore(flags: readonly Flag[], store: AppliedStore): readonly Flag[] {
  switch (store.mode) {
    case 'replace':
      return store.flags
    case 'add':
      return [...flags, ...store.flags]
    case 'remove': {
      const removed = foldedSet(store.flags)
      return flags.filter((flag) => !removed.has(flag.toLowerCase()))
    }
  }
}

function sameFlags(a: readonly Flag[], b: readonly Flag[]): boolean {
  const left = foldedSet(a)
  const right = foldedSet(b)
  return left.size === right.size && [...left].every((flag) => right.has(flag))
}

function foldedSet(flags: readonly Flag[]): ReadonlySet<string> {
  return new Set(flags.map((flag) => flag.toLowerCase()))
}

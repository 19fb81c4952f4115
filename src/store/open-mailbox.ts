import { setImmediate } from 'node:timers/promises'
import type {
  CopyOutcome,
  MailboxChange,
  MessageRecord,
  MessageSummary,
  OpenMailbox,
  StoreFlagsMode,
  Uid,
} from '../imap/port.ts'
import type { Flag } from '../mail/flags.ts'
import type { ByteRange } from '../mail/message-index.ts'
import { DiskFullError } from './errors.ts'
import type { AccountId } from './ids.ts'
import {
  findMailboxState,
  findMessageBlob,
  listKnownFlags,
  listSummaries,
  loadRecords,
  type MailboxState,
} from './mailbox-queries.ts'
import type { Store } from './open-store.ts'

/** Records read at a time: each brings a header, and the loop must stay free between (design 14). */
const FETCH_BATCH = 64
/** Messages one write changes: others get their turn in between. RFC 9051 asks for no atomic STORE or EXPUNGE. */
const WRITE_BATCH = 1000

export interface OpenMailboxOptions {
  readonly store: Store
  readonly accountId: AccountId
  readonly name: string
  readonly onChange: (change: MailboxChange) => void
}

/** The snapshot and the watch of one SELECT; undefined when there is no such mailbox. */
export function openMailbox(options: OpenMailboxOptions): OpenMailbox | undefined {
  const { store, accountId, name, onChange } = options
  const opened = store.read.snapshot(() => {
    const state = findMailboxState(store.read, accountId, name)
    if (state === undefined) return undefined
    return {
      state,
      messages: listSummaries(store.read, state.id),
      knownFlags: listKnownFlags(store.read, state.id),
    }
  })
  if (opened === undefined) return undefined
  // No await between the snapshot and here: see MailboxTracker.
  const close = store.tracker.watch(opened.state.id, opened.state.highestModSeq, onChange)
  return new StoreOpenMailbox(store, { ...opened, close })
}

interface Opened {
  readonly state: MailboxState
  readonly messages: readonly MessageSummary[]
  readonly knownFlags: readonly Flag[]
  readonly close: () => void
}

class StoreOpenMailbox implements OpenMailbox {
  readonly name: string
  readonly uidValidity: number
  readonly messages: readonly MessageSummary[]
  readonly uidNext: number
  readonly highestModSeq: number
  readonly knownFlags: readonly Flag[]
  readonly close: () => void
  readonly #store: Store
  readonly #mailboxId: MailboxState['id']

  constructor(store: Store, opened: Opened) {
    this.#store = store
    this.#mailboxId = opened.state.id
    this.name = opened.state.name
    this.uidValidity = opened.state.uidValidity
    this.uidNext = opened.state.uidNext
    this.highestModSeq = opened.state.highestModSeq
    this.messages = opened.messages
    this.knownFlags = opened.knownFlags
    this.close = opened.close
  }

  async *fetch(uids: readonly Uid[]): AsyncIterable<MessageRecord> {
    for (const [index, batch] of [...batches(ascending(uids), FETCH_BATCH)].entries()) {
      // Reading never waits by itself: let others have the loop.
      if (index > 0) await setImmediate()
      yield* loadRecords(this.#store.read, this.#mailboxId, batch)
    }
  }

  async readBody(uid: Uid, range: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    const blobId = findMessageBlob(this.#store.read, this.#mailboxId, uid)
    return blobId === undefined ? undefined : this.#store.readBlob(blobId, range)
  }

  async storeFlags(
    uids: readonly Uid[],
    mode: StoreFlagsMode,
    flags: readonly Flag[],
  ): Promise<readonly MessageSummary[]> {
    const stored: MessageSummary[] = []
    for (const batch of batches(ascending(uids), WRITE_BATCH)) {
      const args = { mailboxId: this.#mailboxId, uids: batch, mode, flags }
      stored.push(...(await this.#store.write('storeFlags', args)))
    }
    return stored
  }

  copyTo(uids: readonly Uid[], mailboxName: string): Promise<CopyOutcome> {
    return this.#copy('copyMessages', uids, mailboxName)
  }

  moveTo(uids: readonly Uid[], mailboxName: string): Promise<CopyOutcome> {
    return this.#copy('moveMessages', uids, mailboxName)
  }

  async expunge(uids: readonly Uid[] | undefined): Promise<readonly Uid[]> {
    const removed: Uid[] = []
    for (;;) {
      const batch = await this.#store.write('expungeMessages', {
        mailboxId: this.#mailboxId,
        uids: uids ?? null,
        limit: WRITE_BATCH,
      })
      removed.push(...batch)
      if (batch.length < WRITE_BATCH) return removed
    }
  }

  async #copy(
    operation: 'copyMessages' | 'moveMessages',
    uids: readonly Uid[],
    mailboxName: string,
  ): Promise<CopyOutcome> {
    try {
      return await this.#store.write(operation, { fromMailboxId: this.#mailboxId, uids, mailboxName })
    } catch (error) {
      if (error instanceof DiskFullError) return { kind: 'limit', reason: 'the disk is full' }
      throw error
    }
  }
}

function ascending(uids: readonly Uid[]): Uid[] {
  return [...uids].sort((a, b) => a - b)
}

function* batches<T>(items: readonly T[], size: number): Iterable<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}

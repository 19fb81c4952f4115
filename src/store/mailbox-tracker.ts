import type { MailboxChange } from '../imap/port.ts'
import type { MailboxId } from './ids.ts'
import type { PublishedChange } from './operation.ts'

/** Must not throw, and must not wait: it is called between the commit and the answer to its writer. */
export type MailboxListener = (change: MailboxChange) => void

interface Watcher {
  readonly listener: MailboxListener
  /** MODSEQ of the snapshot the watcher started from. */
  readonly afterModSeq: number
}

/**
 * Feeds sessions the committed changes of the mailboxes they have open. A snapshot may already hold commits that are
 * not published yet: every change carries its MODSEQ, so those at or below the snapshot's are not given again. The
 * snapshot must be read and watched in one go, without an await between: then none is lost.
 */
export class MailboxTracker {
  readonly #watchers = new Map<MailboxId, Set<Watcher>>()
  readonly #listeners = new Set<(change: PublishedChange) => void>()

  /** Every change of the mailbox after the MODSEQ; returns what ends it. */
  watch(mailboxId: MailboxId, afterModSeq: number, listener: MailboxListener): () => void {
    const watchers = this.#watchers.get(mailboxId) ?? new Set<Watcher>()
    const watcher = { listener, afterModSeq }
    this.#watchers.set(mailboxId, watchers.add(watcher))
    return () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.#watchers.get(mailboxId) === watchers) this.#watchers.delete(mailboxId)
    }
  }

  /** Mailboxes that sessions have open now. */
  watchedMailboxes(): readonly MailboxId[] {
    return [...this.#watchers.keys()]
  }

  /** Every change of every mailbox; returns what ends it. */
  watchAll(listener: (change: PublishedChange) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Gives the changes of one commit to who watches, in order; a listener that throws does not keep them from others. */
  publish(changes: readonly PublishedChange[]): void {
    const errors: unknown[] = []
    const attempt = (work: () => void): void => {
      try {
        work()
      } catch (error) {
        errors.push(error)
      }
    }
    for (const published of changes) {
      for (const watcher of [...(this.#watchers.get(published.mailboxId) ?? [])]) {
        if (isAfter(published.change, watcher.afterModSeq)) attempt(() => watcher.listener(published.change))
      }
      for (const listener of [...this.#listeners]) attempt(() => listener(published))
    }
    if (errors.length > 0) throw new AggregateError(errors, 'a mailbox listener failed')
  }
}

function isAfter(change: MailboxChange, modSeq: number): boolean {
  switch (change.kind) {
    case 'added':
    case 'flags':
      return change.message.modSeq > modSeq
    case 'expunged':
      return change.modSeq > modSeq
    case 'deleted':
      return true
  }
}

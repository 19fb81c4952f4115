import { type Clock, duration } from '../../base/clock.ts'
import type { KeyId } from '../ids.ts'
import { parseMessageAnnouncements } from '../message-announcement.ts'
import type { CmServerLog, StoredNotice } from './context.ts'
import type { NotifySettings } from './notify-file.ts'

/** An ordinary mail that says "you have mail" and nothing else: it travels in clear. */
export interface NotificationMail {
  readonly from: string
  readonly to: string
  readonly subject: string
  readonly text: string
  /** Milliseconds since 1970 UTC. */
  readonly dateMs: number
  /** With angle brackets. */
  readonly messageId: string
}

/** Hands one mail to the SMTP server of the settings; rejects when that does not take it in time. */
export type SendNotification = (mail: NotificationMail, settings: NotifySettings) => Promise<void>

export interface NotifierOptions {
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  readonly send: SendNotification
  readonly log: CmServerLog
}

const SENTENCE = 'You have new Confidant Mail.'
/** People who wait for their mail to be sent; each waits once, however much came for them. */
const MAX_WAITING = 1000
/** Mails to one person at once, and the time after which there is one more: records cost a sender little work (S9). */
const BURST = 10
const REFILL_MS = duration.minute
/** People whose share is remembered; the one who came first goes first. */
const MAX_REMEMBERED = 10_000
const MESSAGE_ID_BYTES = 16

/**
 * Tells people of new mail (CM wire 9.6), never in the way of storing: one mail after the other, each person at most
 * once in the queue. Only records that were accepted and are new count, and `ServerNotify: False` mutes its own record
 * alone (S13).
 */
export class Notifier {
  readonly #options: NotifierOptions
  readonly #waiting = new Set<KeyId>()
  readonly #shares = new Map<KeyId, { left: number; atMs: number }>()
  #settings: NotifySettings | undefined
  #sending: Promise<void> | undefined

  constructor(options: NotifierOptions) {
    this.#options = options
  }

  /** From now on; undefined: nobody is told. */
  use(settings: NotifySettings | undefined): void {
    this.#settings = settings
  }

  noteStored({ type, from, added }: StoredNotice): void {
    if (this.#settings === undefined || type !== 'message-announcement' || from !== 'client') return
    for (const keyId of new Set(added.flatMap(recipientsToTell))) this.#enqueue(keyId)
  }

  /** Resolves when nothing is being sent any more; what waits is dropped. */
  async close(): Promise<void> {
    this.#settings = undefined
    this.#waiting.clear()
    await this.#sending
  }

  #enqueue(keyId: KeyId): void {
    if (this.#settings?.addressByKeyId.has(keyId) !== true || this.#waiting.has(keyId)) return
    if (this.#waiting.size >= MAX_WAITING || !this.#takeShare(keyId)) {
      this.#options.log.debug({ keyId }, 'a notification was left out: too many')
      return
    }
    this.#waiting.add(keyId)
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  async #sendAll(): Promise<void> {
    for (const keyId of this.#waiting) {
      // Gone from the queue before it is sent: what comes from now on is worth another mail.
      this.#waiting.delete(keyId)
      await this.#send(keyId)
    }
  }

  async #send(keyId: KeyId): Promise<void> {
    const settings = this.#settings
    const to = settings?.addressByKeyId.get(keyId)
    if (settings === undefined || to === undefined) return
    const { clock, randomBytes, send, log } = this.#options
    const id = Buffer.from(randomBytes(MESSAGE_ID_BYTES)).toString('hex')
    const domain = settings.fromAddress.slice(settings.fromAddress.indexOf('@') + 1)
    const mail = {
      from: settings.fromAddress,
      to,
      subject: SENTENCE,
      text: `${SENTENCE}\n`,
      dateMs: clock.now(),
      messageId: `<${id}@${domain}>`,
    }
    try {
      await send(mail, settings)
    } catch (cause) {
      log.error({ cause }, 'a notification could not be sent')
    }
  }

  #takeShare(keyId: KeyId): boolean {
    const nowMs = this.#options.clock.now()
    const { left, atMs } = this.#shares.get(keyId) ?? { left: BURST, atMs: nowMs }
    const share = Math.min(BURST, left + Math.max(0, nowMs - atMs) / REFILL_MS)
    if (share < 1) return false
    this.#shares.delete(keyId)
    this.#shares.set(keyId, { left: share - 1, atMs: nowMs })
    const [oldest] = this.#shares.keys()
    if (this.#shares.size > MAX_REMEMBERED && oldest !== undefined) this.#shares.delete(oldest)
    return true
  }
}

function recipientsToTell(recordText: string): KeyId[] {
  const parsed = parseMessageAnnouncements(recordText)
  if (parsed.kind !== 'ok') return []
  return parsed.records.flatMap(({ announcement: { serverNotify, recipient } }) =>
    serverNotify && recipient !== undefined ? [recipient] : [],
  )
}

import { createHash } from 'node:crypto'
import { type Clock, duration } from '../base/clock.ts'
import type { KeyId } from '../cm/ids.ts'
import { isSameAddress, mailboxesNamed } from '../mail/address.ts'
import { fieldsNamed, fieldValue } from '../mail/header.ts'
import { messageIdOf, parseMessageIds } from '../mail/message-id.ts'
import type { ByteRange } from '../mail/message-index.ts'
import type {
  MailFromCommand,
  RcptToCommand,
  SmtpReply,
  Submission,
  SubmissionSession,
  SubmissionTransaction,
} from '../smtp/port.ts'
import type { Account } from '../store/account-queries.ts'
import type { ContactRecord } from '../store/contact-operations.ts'
import { addressesOfKey, contactByKeyId } from '../store/contact-queries.ts'
import { DiskFullError } from '../store/errors.ts'
import type { Store } from '../store/open-store.ts'
import type { SpooledMessage } from '../store/spool.ts'
import type { SubmittedRecipient } from '../store/submission-operations.ts'
import type { DueWork } from '../store/work-rows.ts'
import type { Authenticator } from './authenticator.ts'
import { hasLogin } from './bridge-context.ts'
import { type ChoiceContext, chooseKeys, unknownPins } from './choose-keys.ts'
import { clientCopies } from './client-copies.ts'
import { type KeyLookup, RCPT_SOURCE_MS } from './key-lookup.ts'
import { type ScannedSubmission, SubmissionScan } from './mime/submission-scan.ts'
import { type CheckedRecipient, checkRecipient } from './recipient-check.ts'
import { releaseTime, workBeginsMs } from './release-time.ts'
import { signedForwardProblem } from './signed-forward.ts'
import { replies } from './submission-replies.ts'
import { timed } from './timed.ts'

export interface SubmissionOptions {
  readonly store: Store
  readonly authenticator: Authenticator
  readonly lookup: KeyLookup
  readonly clock: Clock
  readonly randomBytes: (size: number) => Uint8Array
  readonly maxMessageBytes: number
  /** Puts what became due into the queue; nothing waits for it. */
  readonly enqueue: (due: readonly DueWork[]) => void
}

/** All look-ups of one transaction together (design 7.2). */
const LOOKUP_BUDGET_MS = 5 * duration.second
/** Octets of a MessageUniqueId (CM message 2.3). */
const UNIQUE_ID_BYTES = 20

/** The submission server's decisions (design 7.1–7.5): who may send as whom, to whom, and what "queued" means. */
export function createSubmission(options: SubmissionOptions): Submission {
  return {
    maxMessageBytes: options.maxMessageBytes,
    async login(attempt) {
      const outcome = await options.authenticator.authenticate(attempt)
      if (outcome.kind !== 'ok') return outcome
      return { kind: 'ok', session: createSession(options, outcome.account, outcome.login) }
    },
  }
}

function createSession(options: SubmissionOptions, account: Account, login: string): SubmissionSession {
  return {
    async begin(command) {
      const own = [account.address]
      if (command.address !== '' && !own.some((address) => isSameAddress(address, command.address))) {
        return { reply: replies.notOwnSender(command.address, own.join(', ')) }
      }
      if (command.declaredBytes !== null && command.declaredBytes > options.maxMessageBytes) {
        return { reply: replies.tooLarge(options.maxMessageBytes) }
      }
      return { reply: replies.senderOk, transaction: new Transaction({ options, account, login, command }) }
    },
  }
}

interface TransactionContext {
  readonly options: SubmissionOptions
  readonly account: Account
  readonly login: string
  readonly command: MailFromCommand
}

class Transaction implements SubmissionTransaction {
  readonly #context: TransactionContext
  readonly #recipients: CheckedRecipient[] = []
  /** Keys found for pins of the header. */
  readonly #pinned: ContactRecord[] = []
  readonly #abandoned = new AbortController()
  #lookupLeftMs = LOOKUP_BUDGET_MS

  constructor(context: TransactionContext) {
    this.#context = context
  }

  async addRecipient(command: RcptToCommand): Promise<SmtpReply> {
    const { options, account } = this.#context
    const { store, lookup } = options
    const check = await this.#withinLookupTime((signal) =>
      checkRecipient(command, {
        read: store.read,
        accountId: account.id,
        lookup,
        signal,
        nowMs: options.clock.now(),
      }),
    )
    if (check.kind === 'accepted') this.#recipients.push(check.recipient)
    return check.reply
  }

  async accept(content: AsyncIterable<Uint8Array>): Promise<SmtpReply> {
    if (this.#recipients.length === 0) return replies.noRecipients
    try {
      return await this.#receive(content)
    } catch (error) {
      if (error instanceof DiskFullError) return replies.diskFull
      throw error
    }
  }

  async abandon(): Promise<void> {
    this.#abandoned.abort()
  }

  async #receive(content: AsyncIterable<Uint8Array>): Promise<SmtpReply> {
    const { options, account, command } = this.#context
    const sink = await options.store.beginSpool(account.id, command.declaredBytes ?? 0)
    const scan = new SubmissionScan()
    let spooled: SpooledMessage
    try {
      for await (const chunk of content) await sink.write(scan.push(chunk))
      await sink.write(scan.end())
      spooled = await sink.finish()
    } catch (error) {
      await sink.discard()
      throw error
    }
    try {
      return await this.#decide(spooled, scan.judge([account.address]))
    } finally {
      // Bytes that a row refers to stay; those of a refused message go.
      await spooled.discard()
    }
  }

  async #decide(spooled: SpooledMessage, scanned: ScannedSubmission): Promise<SmtpReply> {
    const { options, account } = this.#context
    if (scanned.refusal !== undefined) return replies.refused(scanned.refusal, account.address)
    const { fields } = scanned
    const found = this.#recipients.flatMap((recipient) => recipient.found)
    const context: ChoiceContext = {
      headers: { to: mailboxesNamed(fields, 'To'), cc: mailboxesNamed(fields, 'Cc') },
      addressesOf: (keyId) =>
        [...found, ...this.#pinned].find((contact) => contact.keyId === keyId)?.addresses ??
        addressesOfKey(options.store.read, account.id, keyId),
      isBlocked: (keyId) => contactByKeyId(options.store.read, account.id, keyId)?.trust === 'blocked',
    }
    for (const pin of unknownPins(this.#recipients, context)) await this.#lookUpPin(pin)
    const choice = chooseKeys(this.#recipients, context)
    if (choice.kind === 'refused') return choice.reply
    const release = releaseTime(fields, this.#context.command.hold, options.clock.now())
    if (release.kind === 'wrong') return replies.wrongRelease(release.problem)
    const source = { index: scanned.index, openRange: (range: ByteRange) => spooled.read(range) }
    const problem = await signedForwardProblem(options.store, account.id, source)
    if (problem !== undefined) return replies.wrongForward(problem)
    return this.#store(spooled, scanned, { recipients: choice.recipients, releaseMs: release.releaseMs })
  }

  /** A pin of the header on a key nobody has seen here: whether it fits the address shows only in the key (design 7.3). */
  async #lookUpPin(pin: KeyId): Promise<void> {
    const { options, account } = this.#context
    const outcome = await this.#withinLookupTime((signal) =>
      options.lookup.byKeyId(account.id, pin, { hints: [], signal, sourceMs: RCPT_SOURCE_MS }),
    )
    this.#pinned.push(...outcome.found)
  }

  /** All look-ups of the transaction share one budget (design 7.2); what the client takes for DATA is not counted. */
  async #withinLookupTime<T>(find: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock } = this.#context.options
    const startedMs = clock.now()
    try {
      return await timed(clock, this.#lookupLeftMs, (timeUp) =>
        find(AbortSignal.any([timeUp, this.#abandoned.signal])),
      )
    } finally {
      this.#lookupLeftMs = Math.max(0, this.#lookupLeftMs - (clock.now() - startedMs))
    }
  }

  async #store(
    spooled: SpooledMessage,
    scanned: ScannedSubmission,
    { recipients, releaseMs }: Decided,
  ): Promise<SmtpReply> {
    const { options, account, login, command } = this.#context
    const { store } = options
    const [idField] = fieldsNamed(scanned.fields, 'Message-ID')
    const idValue = idField === undefined ? '' : fieldValue(idField)
    const [messageId = null] = parseMessageIds(idValue)
    const outcome = await store.write('acceptSubmission', {
      accountId: account.id,
      login,
      message: store.draftMessage(spooled, scanned.index),
      messageId,
      messageUniqueId: Buffer.from(options.randomBytes(UNIQUE_ID_BYTES)).toString('hex'),
      recipientsDigest: digestRecipients(recipients),
      contentDigest: scanned.contentDigest,
      reportable: command.address !== '',
      returnContent: command.returnContent,
      envelopeId: command.envelopeId,
      releaseMs,
      beginsMs: workBeginsMs(releaseMs, hasLogin(store, account.id), options.clock.now()),
      recipients,
      contacts: [...this.#recipients.flatMap((recipient) => recipient.found), ...this.#pinned],
      ...clientCopies(store.read, account.id, messageIdOf(idValue)),
    })
    if (outcome.kind === 'already-queued') return replies.alreadyQueued(outcome.outboundId)
    options.enqueue(outcome.due)
    return replies.queued(outcome.outboundId)
  }
}

interface Decided {
  readonly recipients: readonly SubmittedRecipient[]
  readonly releaseMs: number | null
}

/** Equal for the same set of recipients in any order (case S03). */
function digestRecipients(recipients: readonly SubmittedRecipient[]): string {
  const identities = recipients.map(({ address, keyId, pinned }) =>
    pinned ? `${keyId}` : address.toLowerCase(),
  )
  return createHash('sha256').update(identities.sort().join('\n')).digest('hex')
}

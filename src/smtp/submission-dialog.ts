import type { MessageContent } from './message-content.ts'
import type {
  MailFromCommand,
  RcptToCommand,
  SmtpLoginAttempt,
  SmtpReply,
  Submission,
  SubmissionSession,
  SubmissionTransaction,
} from './port.ts'
import { REPLIES } from './reply.ts'

/** Where the server writes what happens. Fields are ids and counts; at info and above no addresses (design 5). */
export interface SmtpLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export type LoginAnswer =
  | { readonly kind: 'ok' }
  | { readonly kind: 'reply'; readonly reply: SmtpReply }
  /** The login failed and is to be counted against the connection. */
  | { readonly kind: 'failed'; readonly reply: SmtpReply }

type TransactionState =
  | { readonly name: 'none' }
  | { readonly name: 'open'; readonly transaction: SubmissionTransaction }
  | { readonly name: 'accepting' }

/**
 * One connection's talk with the bridge: who is logged in, and the transaction under way. Each transaction that
 * `begin` gave out ends in exactly one `accept` or one `abandon`, whatever the peer or the network does. Faults of
 * ours are logged here, once, and answered 451 (454 at login: nobody is let in on an exception).
 */
export class SubmissionDialog {
  readonly #submission: Submission
  readonly #log: SmtpLog
  #session: SubmissionSession | undefined
  #state: TransactionState = { name: 'none' }
  readonly #gone = new AbortController()
  /** What the open transaction is still busy with; an abandon waits for it. */
  #busy: Promise<unknown> = Promise.resolve()
  /** The abandons under way; a new transaction and the end of the connection wait for them. */
  #abandoning: Promise<void> = Promise.resolve()

  constructor(options: { readonly submission: Submission; readonly log: SmtpLog }) {
    this.#submission = options.submission
    this.#log = options.log
  }

  /** True while a message is being taken: the connection must not be cut for a shutdown then. */
  get isAccepting(): boolean {
    return this.#state.name === 'accepting'
  }

  async login(attempt: SmtpLoginAttempt): Promise<LoginAnswer> {
    // RFC 4616 2: without an authentication identity there is nobody whose password it could be.
    if (attempt.authcid === '') return { kind: 'failed', reply: REPLIES.badCredentials }
    try {
      const outcome = await this.#submission.login(attempt)
      if (outcome.kind === 'throttled') {
        return { kind: 'failed', reply: REPLIES.loginThrottled(Math.ceil(outcome.retryAfterMs / 1000)) }
      }
      if (outcome.kind === 'refused') return { kind: 'failed', reply: REPLIES.badCredentials }
      this.#session = outcome.session
      return { kind: 'ok' }
    } catch (cause) {
      this.#log.error({ cause }, 'login failed for a reason of our own')
      return { kind: 'reply', reply: REPLIES.loginFailure }
    }
  }

  /** Forgets who is logged in: after STARTTLS nothing said before counts (RFC 3207 4.2). */
  forgetLogin(): void {
    this.#session = undefined
  }

  async mail(command: MailFromCommand): Promise<SmtpReply> {
    await this.#abandoning
    const session = this.#session
    if (session === undefined) return REPLIES.needLogin
    return this.#guard('MAIL', async () => {
      const { reply, transaction } = await session.begin(command)
      if (transaction === undefined) {
        if (reply.replyCode >= 400) return reply
        throw new Error('a sender was accepted without a transaction')
      }
      this.#state = { name: 'open', transaction }
      if (this.#gone.signal.aborted || reply.replyCode >= 400) this.reset()
      return reply
    })
  }

  recipient(command: RcptToCommand): Promise<SmtpReply> {
    const state = this.#state
    if (state.name !== 'open') return Promise.resolve(REPLIES.localError)
    const answer = this.#guard('RCPT', () => state.transaction.addRecipient(command))
    this.#busy = answer
    return answer
  }

  /** The reply to the final dot; undefined when the connection was lost before it and nobody is there to be told. */
  async data(content: MessageContent, maxMessageBytes: number): Promise<SmtpReply | undefined> {
    const state = this.#state
    if (state.name !== 'open') return REPLIES.localError
    this.#state = { name: 'accepting' }
    try {
      const reply = await state.transaction.accept(content.chunks())
      if (content.outcome === 'too-big') return REPLIES.tooBig(maxMessageBytes)
      return content.outcome === 'lost' ? undefined : reply
    } catch (cause) {
      if (content.outcome === 'too-big') return REPLIES.tooBig(maxMessageBytes)
      if (content.outcome === 'lost') return undefined
      this.#log.error({ cause }, 'a message was not taken for a reason of our own')
      return REPLIES.localError
    } finally {
      this.#state = { name: 'none' }
    }
  }

  /** RSET, EHLO, STARTTLS, the end of a transaction: abandons what was begun and not accepted. */
  reset(): void {
    const state = this.#state
    if (state.name !== 'open') return
    this.#state = { name: 'none' }
    const busy = this.#busy
    this.#abandoning = this.#abandoning.then(async () => {
      await busy
      try {
        await state.transaction.abandon()
      } catch (cause) {
        this.#log.error({ cause }, 'a transaction was not abandoned cleanly')
      }
    })
  }

  /** The connection is gone. Resolves when nothing of it is left. */
  async close(): Promise<void> {
    this.#gone.abort()
    this.reset()
    await this.#abandoning
  }

  async #guard(command: string, run: () => Promise<SmtpReply>): Promise<SmtpReply> {
    try {
      return await run()
    } catch (cause) {
      this.#log.error({ cause, command }, 'a command failed for a reason of our own')
      return REPLIES.localError
    }
  }
}

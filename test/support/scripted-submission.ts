import type {
  MailFromCommand,
  RcptToCommand,
  SmtpLoginAttempt,
  SmtpLoginOutcome,
  SmtpReply,
  Submission,
  SubmissionTransaction,
} from '../../src/smtp/port.ts'

/** One message that was taken, or one transaction that ended otherwise. */
export interface ScriptedMessage {
  readonly mail: MailFromCommand
  readonly recipients: readonly RcptToCommand[]
  readonly content: Buffer
}

const KNOWN = [
  'bob@example.net',
  'carol@example.net',
  'dan@example.net',
  'ann@xn--bcher-kva.example',
  'ann@bücher.example',
  'two-keys@example.net',
]

function reply(replyCode: number, enhancedStatusCode: string, text: string): SmtpReply {
  return { replyCode, enhancedStatusCode, text }
}

/** A small, complete bridge in memory for the SMTP server's tests: one user, a few recipients, the replies of design 7. */
export class ScriptedSubmission implements Submission {
  readonly maxMessageBytes: number
  readonly logins: SmtpLoginAttempt[] = []
  readonly messages: ScriptedMessage[] = []
  /** Every end of a transaction, in order: `accept …` or `abandon`. */
  readonly ends: string[] = []
  /** Awaited before RCPT is answered: a look-up that takes its time. */
  recipientGate: Promise<void> = Promise.resolve()
  /** Awaited between two chunks of content: a slow disk. */
  chunkGate: () => Promise<void> = () => Promise.resolve()
  loginOutcome: SmtpLoginOutcome | Error | undefined
  #waiting: (() => void)[] = []

  constructor(options: { readonly maxMessageBytes?: number } = {}) {
    this.maxMessageBytes = options.maxMessageBytes ?? 1024 * 1024
  }

  /** Resolves when that many transactions have ended. */
  async ended(count: number): Promise<void> {
    while (this.ends.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #end(how: string): void {
    this.ends.push(how)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  async login(attempt: SmtpLoginAttempt): Promise<SmtpLoginOutcome> {
    this.logins.push(attempt)
    if (this.loginOutcome instanceof Error) throw this.loginOutcome
    if (this.loginOutcome !== undefined) return this.loginOutcome
    const own = ['alice', 'alice@example.org']
    const isRight = own.includes(attempt.authcid) && attempt.password.reveal() === 'secret'
    if (!isRight || (attempt.authzid !== '' && !own.includes(attempt.authzid))) return { kind: 'refused' }
    return { kind: 'ok', session: { begin: (command) => this.#begin(command) } }
  }

  async #begin(mail: MailFromCommand): Promise<{ reply: SmtpReply; transaction?: SubmissionTransaction }> {
    if (mail.address === 'fault@example.org') throw new Error('scripted fault at MAIL')
    if (mail.address !== '' && mail.address !== 'alice@example.org') {
      return { reply: reply(553, '5.7.1', 'Not an address of this login') }
    }
    return { reply: reply(250, '2.1.0', 'Sender is yours'), transaction: this.#transaction(mail) }
  }

  #transaction(mail: MailFromCommand): SubmissionTransaction {
    const recipients: RcptToCommand[] = []
    return {
      addRecipient: async (command) => {
        await this.recipientGate
        if (command.address.startsWith('fault@')) throw new Error('scripted fault at RCPT')
        if (!KNOWN.includes(command.address)) {
          return reply(550, '5.1.1', `No key is announced for ${command.address}`)
        }
        recipients.push(command)
        return reply(250, '2.1.5', `Will go to ${command.address}`)
      },
      accept: (content) => this.#accept(mail, recipients, content),
      abandon: async () => this.#end('abandon'),
    }
  }

  async #accept(
    mail: MailFromCommand,
    recipients: readonly RcptToCommand[],
    content: AsyncIterable<Uint8Array>,
  ): Promise<SmtpReply> {
    try {
      const chunks: Uint8Array[] = []
      for await (const chunk of content) {
        chunks.push(chunk)
        await this.chunkGate()
      }
      const answer = this.#decide({ mail, recipients, content: Buffer.concat(chunks) })
      this.#end(`accept ${answer.replyCode}`)
      return answer
    } catch (error) {
      this.#end(`accept ${error instanceof Error ? error.name : 'failed'}`)
      throw error
    }
  }

  #decide(message: ScriptedMessage): SmtpReply {
    const text = message.content.toString('latin1')
    if (text.includes('\0')) return reply(554, '5.6.0', 'The message holds NUL')
    if (text.includes('Subject: fault')) throw new Error('scripted fault at the final dot')
    if (message.recipients.some((recipient) => recipient.address === 'two-keys@example.net')) {
      return reply(
        553,
        '5.1.4',
        `Two keys claim two-keys@example.net: ${'1'.repeat(40)} and ${'2'.repeat(40)}`,
      )
    }
    const same = this.messages.findIndex((other) => identity(other) === identity(message))
    if (same >= 0 && /^message-id:/im.test(text)) return reply(250, '2.0.0', `already queued as ${same + 1}`)
    this.messages.push(message)
    return reply(250, '2.0.0', `queued as ${this.messages.length}`)
  }
}

function identity(message: ScriptedMessage): string {
  const recipients = message.recipients.map((recipient) => recipient.address).sort()
  return [...recipients, message.content.toString('latin1')].join('\n')
}

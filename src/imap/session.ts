import type { Clock } from '../base/clock.ts'
import {
  type ByteChannel,
  ChannelClosedError,
  ChannelIdleError,
  type ServerTlsContext,
  StartTlsError,
} from '../net/byte-channel.ts'
import { capabilityNames } from './capability.ts'
import type { Connection, Context, SessionState, StateName, TableCommand, Tagged } from './command.ts'
import { CommandReader, EndOfInputError, type ReceivedCommand } from './command-reader.ts'
import { COMMANDS, commandNamed } from './commands/index.ts'
import {
  IDLE_AFTER_LOGIN_MS,
  IDLE_BEFORE_LOGIN_MS,
  LIMITS_AFTER_LOGIN,
  LOGIN_DEADLINE_MS,
  MAX_BAD_COMMANDS_AFTER_LOGIN,
  MAX_BAD_COMMANDS_BEFORE_LOGIN,
  MAX_REFUSED_LOGINS,
} from './limits.ts'
import { Parser } from './parser.ts'
import type { Authenticator } from './port.ts'
import { ImapByeError, ImapReplyError, ImapSyntaxError } from './reply-error.ts'
import type { Untagged } from './response.ts'
import { BrokenLiteralError, ResponseWriter } from './response-writer.ts'
import { isDiskFull, isStoreGone } from './store-errors.ts'

/** Where the server writes what happens; `fields.cause` may be an Error. */
export interface ImapLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface ImapSessionOptions {
  readonly authenticator: Authenticator
  readonly clock: Clock
  readonly log: ImapLog
  /** Asked at each STARTTLS, so that a renewed certificate is used at once; absent: no STARTTLS. */
  readonly tls?: () => ServerTlsContext
  /** The peer is this machine: passwords may travel in clear (design 6). */
  readonly isLoopback: boolean
  /** Shown in the greeting; a host name or nothing. */
  readonly greetingHost: string
  /** The release, for ID. */
  readonly version?: string
  /** Capabilities that are not announced (case I21). */
  readonly switchedOff?: ReadonlySet<string>
}

type Run = AsyncGenerator<Untagged, Tagged>

/** What is known of a command once it is parsed, or that it could not be. */
interface Parsed {
  /** `*` when there is none that could be used. */
  readonly tag: string
  readonly command?: TableCommand
  readonly isUid: boolean
  readonly outcome:
    | { readonly kind: 'run'; start(context: Context<StateName>): Run }
    | { readonly kind: 'reply'; readonly reply: Tagged }
}

/** One IMAP connection from greeting to BYE. The only place that assigns a session's state. */
export class ImapSession {
  readonly #channel: ByteChannel
  readonly #options: ImapSessionOptions
  readonly #writer: ResponseWriter
  #reader: CommandReader
  #state: SessionState = { name: 'not-authenticated' }
  #badInARow = 0
  #refusedLogins = 0
  /** True while nothing is being answered: a farewell may be said. */
  #isWaiting = false as boolean

  constructor(channel: ByteChannel, options: ImapSessionOptions) {
    this.#channel = channel
    this.#options = options
    this.#writer = new ResponseWriter(channel)
    this.#reader = this.#newReader()
  }

  /** Serves until the connection is over; never rejects for what a peer does. */
  async run(): Promise<void> {
    this.#channel.setIdleTimeout(IDLE_BEFORE_LOGIN_MS)
    const cancelDeadline = this.#options.clock.after(LOGIN_DEADLINE_MS, () => {
      if (this.#state.name === 'not-authenticated') this.#channel.destroy()
    })
    try {
      await this.#greet()
      while (this.#state.name !== 'logout') await this.#serveCommand()
    } catch (error) {
      await this.#farewell(error)
    } finally {
      cancelDeadline()
      this.#enter({ name: 'logout' })
      await this.#channel.end()
    }
  }

  /** Says BYE and closes, at once when nothing is being answered; else drops the connection. */
  async shutDown(): Promise<void> {
    if (!this.#isWaiting) {
      this.#channel.destroy()
      return
    }
    await this.#sayBye('The server is shutting down')
    await this.#channel.end()
  }

  async #greet(): Promise<void> {
    // A machine may be called anything; the greeting is plain ASCII without brackets that look like a code.
    const greetingHost = this.#options.greetingHost.replace(/[^A-Za-z0-9.:-]/g, '')
    await this.#writer.write({
      kind: 'condition',
      status: 'OK',
      code: { kind: 'CAPABILITY', names: this.#capabilitiesIn('not-authenticated') },
      text: `${greetingHost === '' ? '' : `${greetingHost} `}Confidant Bridge ready`,
    })
    await this.#writer.flush()
  }

  /** The one catch of a connection: whose fault it is decides what is said and logged (style 2.4). */
  async #farewell(error: unknown): Promise<void> {
    if (error instanceof EndOfInputError || error instanceof ChannelClosedError) return
    if (error instanceof StartTlsError) {
      this.#options.log.debug(
        { remoteAddress: this.#channel.remoteAddress, cause: error },
        'TLS did not come up',
      )
    } else if (error instanceof ChannelIdleError) {
      await this.#sayBye('Nothing was heard for too long')
    } else if (error instanceof ImapByeError) {
      await this.#sayBye(error.message)
    } else {
      this.#options.log.error({ cause: error }, 'an IMAP connection had to be closed')
      // What was sent last may be half a literal, in which a BYE would be read as mail.
      this.#channel.destroy()
    }
  }

  async #sayBye(text: string): Promise<void> {
    try {
      await this.#writer.write({ kind: 'condition', status: 'BYE', text })
      await this.#writer.flush()
    } catch (error) {
      if (!(error instanceof ChannelClosedError || error instanceof ChannelIdleError)) throw error
    }
  }

  async #serveCommand(): Promise<void> {
    this.#requireMailbox()
    const received = await this.#waiting(this.#reader.readCommand())
    this.#requireMailbox()
    const parsed = this.#parse(received)
    const reply = await this.#execute(parsed)
    await this.#reader.finishCommand()
    await this.#conclude(parsed, reply)
    this.#count(reply)
  }

  /** A mailbox that somebody else deleted cannot be gone on with (RFC 9051 6.3.5, `port.ts`). */
  #requireMailbox(): void {
    if (this.#state.name === 'selected' && this.#state.selected.view.isDeleted) {
      throw new ImapByeError('The selected mailbox was deleted')
    }
  }

  #parse(received: ReceivedCommand): Parsed {
    let tag = '*'
    let command: TableCommand | undefined
    let isUid = false
    const replied = (reply: Tagged): Parsed => ({
      tag,
      isUid,
      outcome: { kind: 'reply', reply },
      ...(command === undefined ? {} : { command }),
    })
    try {
      const p =
        received.kind === 'command'
          ? new Parser(received.segments, received.awaited)
          : new Parser([{ kind: 'text', bytes: received.start }])
      tag = p.tag()
      if (received.kind === 'refused') return replied({ status: 'BAD', text: received.text })
      p.sp()
      const first = p.word()
      isUid = first === 'UID'
      if (isUid) p.sp()
      command = commandNamed(isUid ? p.word() : first)
      if (command === undefined || (isUid && !command.hasUidForm))
        return replied({ status: 'BAD', text: 'Unknown command' })
      if (!command.states.includes(this.#state.name)) {
        return replied({ status: 'BAD', text: `${command.name} is not possible now (${this.#state.name})` })
      }
      return { tag, command, isUid, outcome: { kind: 'run', start: command.prepare(p, isUid) } }
    } catch (error) {
      return replied(replyTo(error))
    }
  }

  /** Runs the command and writes what it yields. A fault of ours is logged here and answered NO [SERVERBUG]. */
  async #execute({ command, isUid, outcome }: Parsed): Promise<Tagged> {
    if (outcome.kind === 'reply') return outcome.reply
    try {
      return await this.#pump(outcome.start(this.#context(isUid)))
    } catch (error) {
      if (error instanceof ImapSyntaxError || error instanceof ImapReplyError) return replyTo(error)
      if (endsConnection(error)) throw error
      if (isDiskFull(error))
        return { status: 'NO', code: { kind: 'LIMIT' }, text: 'There is no room on the disk' }
      this.#options.log.error({ command: command?.name, cause: error }, 'an IMAP command failed')
      if (isStoreGone(error)) throw new ImapByeError('The mail store is not available')
      return { status: 'NO', code: { kind: 'SERVERBUG' }, text: 'Internal error, nothing was changed' }
    }
  }

  async #pump(run: Run): Promise<Tagged> {
    try {
      for (;;) {
        const step = await run.next()
        if (step.done === true) return step.value
        await this.#writer.write(step.value)
        if (step.value.kind === 'continuation') await this.#writer.flush()
      }
    } finally {
      await run.return({ status: 'NO', text: '' })
    }
  }

  /** The new state, the news of the mailbox, then the tagged reply. */
  async #conclude({ tag, command, isUid }: Parsed, reply: Tagged): Promise<void> {
    const before = this.#state
    if (reply.state !== undefined) this.#enter(reply.state)
    if (reply.startsTls === true && !this.#reader.isEmpty) {
      throw new ImapByeError('Nothing may follow STARTTLS before TLS is up')
    }
    if (this.#state.name === 'selected' && this.#state === before) {
      const isHeld = command === undefined || (command.expunges === 'held' && !isUid)
      const news = this.#state.selected.view.flush({ expunges: isHeld ? 'held' : 'told' })
      for (const response of news) await this.#writer.write(response)
    }
    if (tag === '*') await this.#writer.write({ kind: 'condition', status: 'BAD', text: reply.text })
    else await this.#writer.write({ ...pickReply(reply), kind: 'tagged', tag })
    await this.#writer.flush()
    if (reply.startsTls === true) await this.#startTls()
  }

  async #startTls(): Promise<void> {
    const { tls } = this.#options
    if (tls === undefined) throw new Error('STARTTLS without a certificate')
    await this.#channel.startTls(tls())
    // Nothing from before TLS counts any more (RFC 9051 6.2.1).
    this.#reader = this.#newReader()
  }

  /** Closes what the old state held, and gives the connection the limits of the new one. */
  #enter(state: SessionState): void {
    const before = this.#state
    this.#state = state
    if (before.name === 'selected') before.selected.mailbox.close()
    if (before.name === 'not-authenticated' && state.name === 'authenticated') {
      this.#reader.setLimits(LIMITS_AFTER_LOGIN)
      this.#channel.setIdleTimeout(IDLE_AFTER_LOGIN_MS)
    }
  }

  #count(reply: Tagged): void {
    this.#badInARow = reply.status === 'BAD' ? this.#badInARow + 1 : 0
    if (reply.refusedLogin === true) this.#refusedLogins += 1
    const isLoggedIn = this.#state.name !== 'not-authenticated'
    const maxBad = isLoggedIn ? MAX_BAD_COMMANDS_AFTER_LOGIN : MAX_BAD_COMMANDS_BEFORE_LOGIN
    if (this.#badInARow >= maxBad) throw new ImapByeError('Too many bad commands')
    if (this.#refusedLogins >= MAX_REFUSED_LOGINS) throw new ImapByeError('Too many refused logins')
  }

  #newReader(): CommandReader {
    return new CommandReader(this.#channel, async () => {
      await this.#writer.write({ kind: 'continuation', text: 'Ready for the literal' })
      await this.#writer.flush()
    })
  }

  async #waiting<T>(input: Promise<T>): Promise<T> {
    this.#isWaiting = true
    try {
      return await input
    } finally {
      this.#isWaiting = false
    }
  }

  get #connection(): Connection {
    const { secure, remoteAddress } = this.#channel
    return {
      remoteAddress,
      isSecure: secure,
      canStartTls: !secure && this.#options.tls !== undefined,
      mayLogin: secure || this.#options.isLoopback,
    }
  }

  #capabilitiesIn(state: StateName): readonly string[] {
    const switchedOff = this.#options.switchedOff ?? new Set()
    return capabilityNames(COMMANDS, { connection: this.#connection, state, switchedOff })
  }

  #context(isUid: boolean): Context<StateName> {
    const reader = this.#reader
    const { version } = this.#options
    return {
      state: this.#state,
      isUid,
      connection: this.#connection,
      authenticator: this.#options.authenticator,
      serverId: [
        ['name', 'Confidant Bridge'] as const,
        ...(version === undefined ? [] : [['version', version] as const]),
      ],
      input: {
        readLine: () => this.#waiting(reader.readLine()),
        readLiteral: () => reader.readAwaited(),
        readRest: () => reader.readRest(),
      },
      flush: () => this.#writer.flush(),
      capabilitiesIn: (state) => this.#capabilitiesIn(state),
    }
  }
}

/** What the peer did wrong, as the reply it gets. */
function replyTo(error: unknown): Tagged {
  if (error instanceof ImapSyntaxError) return { status: 'BAD', text: `Syntax: ${error.message}` }
  if (!(error instanceof ImapReplyError)) throw error
  const { status, code, message } = error
  return code === undefined ? { status, text: message } : { status, code, text: message }
}

/** The reply without what is only the session's. */
function pickReply({ status, code, text }: Tagged): Pick<Tagged, 'status' | 'code' | 'text'> {
  return code === undefined ? { status, text } : { status, code, text }
}

function endsConnection(error: unknown): boolean {
  return (
    error instanceof EndOfInputError ||
    error instanceof ChannelClosedError ||
    error instanceof ChannelIdleError ||
    error instanceof ImapByeError ||
    error instanceof BrokenLiteralError
  )
}

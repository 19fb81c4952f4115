import { SMTPServer, type SMTPServerSession } from 'smtp-server'
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js'
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'
import type { Clock } from '../base/clock.ts'
import { Secret } from '../base/secret.ts'
import {
  addressAsSent,
  checkMailParameters,
  checkRcptParameters,
  cleanHelloName,
  futureReleaseFeature,
  mailFromCommand,
  rcptToCommand,
} from './address-command.ts'
import { MAX_HELLO_NAME_BYTES, type SmtpLimits } from './limits.ts'
import { MessageContent } from './message-content.ts'
import type { SmtpReply, Submission } from './port.ts'
import { parseReplyText, REPLIES, replyLines, replyText, SmtpReplyError } from './reply.ts'
import { type SmtpLog, SubmissionDialog } from './submission-dialog.ts'

/**
 * The only module that knows the `smtp-server` package, and the only one that touches its insides (pinned to 3.21.6,
 * guarded by test/contract/smtp-server-insides.test.ts). Its framing, states and TLS are used as they are; what is
 * overridden here: addresses as sent and unknown parameters (555), our own enhanced status codes, BDAT, the delay
 * before the greeting, and the end of a transaction.
 */

/** What the listeners of one server share. */
export interface AdapterContext {
  readonly submission: Submission
  readonly tls: { readonly key: string; readonly cert: string }
  readonly clock: Clock
  readonly log: SmtpLog
  readonly limits: SmtpLimits
  /** Counts the connections of all listeners; false when there is no room for one more. */
  readonly hasRoom: () => boolean
  readonly maxConnections: number
}

/** Said in the greeting and EHLO; never the machine's own name. */
const SERVER_NAME = 'cmbridge.invalid'
/** Commands of the package that no submission client needs. */
const DISABLED_COMMANDS = ['XCLIENT', 'XFORWARD', 'WIZ', 'SHELL', 'KILL']

/** An error whose reply the package sends: code and text travel as it wants them. */
class PackageError extends Error {
  readonly responseCode: number

  constructor(reply: SmtpReply) {
    super(replyText(reply))
    this.responseCode = reply.replyCode
  }
}

/** Counts what a chunk holds after the command being run, so that STARTTLS can tell what came too early. */
class CommandStream extends SMTPStream {
  #linesLeft = 0
  #hasPartialLine = false

  get hasMore(): boolean {
    return this.#linesLeft > 0 || this.#hasPartialLine
  }

  lineTaken(): void {
    this.#linesLeft -= 1
  }

  override _write(
    chunk: Buffer,
    encoding: BufferEncoding | 'buffer',
    next: (error?: Error | null) => void,
  ): void {
    if (!this._dataMode) {
      this.#linesLeft = chunk.reduce((lines, octet) => (octet === 0x0a ? lines + 1 : lines), 0)
      this.#hasPartialLine = chunk.length > 0 && chunk.at(-1) !== 0x0a
    }
    super._write(chunk, encoding, next)
  }

  /** A line without its end is not a command: the package would run what a lost connection left behind. */
  override _flushData(): void {
    this._remainder = ''
  }
}

type ConnectionOptions = ConstructorParameters<typeof SMTPConnection>[2]

class SubmissionConnection extends SMTPConnection {
  readonly dialog: SubmissionDialog
  readonly #context: AdapterContext
  #clientSendsUtf8 = false
  /** The port's own words for the next "accepted" of MAIL or RCPT. */
  #accepted: SmtpReply | undefined
  #failedLogins = 0
  #refusedRecipients = 0

  constructor(
    server: SMTPServer,
    socket: ConstructorParameters<typeof SMTPConnection>[1],
    options: { readonly context: AdapterContext; readonly given: ConnectionOptions },
  ) {
    super(server, socket, options.given)
    this.#context = options.context
    this.dialog = new SubmissionDialog(options.context)
  }

  /** The package waits 100 ms to catch early talkers; clients wait for us, and answering them does no harm. */
  override init(): void {
    this._setListeners(() => this.connectionReady())
  }

  override _createParser(): SMTPStream {
    const stream = new CommandStream({ maxCommandLength: this._server.options.maxCommandLength })
    stream.oncommand = (command, callback) => {
      stream.lineTaken()
      this._onCommand(command, callback)
    }
    stream.on('error', () => {
      this.reply(REPLIES.lineTooLong)
      this.close()
    })
    return stream
  }

  /** Sends a reply at once, outside the package's own course. */
  reply(reply: SmtpReply): void {
    this.send(reply.replyCode, replyText(reply))
  }

  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    if (Array.isArray(data)) {
      const features = data.toSpliced(-1, 0, futureReleaseFeature(this.#context.clock.now()))
      super.send(
        code,
        this.#mayAuthenticate() ? features : features.filter((line) => !line.startsWith('AUTH ')),
        context,
      )
      return
    }
    const accepted = context === 'MAIL_FROM_OK' || context === 'RCPT_TO_OK' ? this.#accepted : undefined
    this.#accepted = undefined
    const own = accepted ?? this.#ownReply(code, data ?? '')
    if (own === undefined) {
      super.send(code, data, context)
      return
    }
    const lines = replyLines(own, { utf8: this.#clientSendsUtf8 })
    super.send(own.replyCode, lines.length > 1 ? lines : lines[0], false)
  }

  #ownReply(code: number, text: string): SmtpReply | undefined {
    if (code === 421 && this._server._closeTimeout !== false) return REPLIES.shuttingDown
    // RFC 4954 6 has 5.7.11 for it; the package says 5.7.0.
    if (code === 538) return { replyCode: code, enhancedStatusCode: '5.7.11', text }
    return parseReplyText(code, text)
  }

  #mayAuthenticate(): boolean {
    return this.secure || this._server.options.allowInsecureAuth === true
  }

  override _parseAddressCommand(
    name: string,
    command: Buffer | string,
  ): ReturnType<SMTPConnection['_parseAddressCommand']> {
    const parsed = super._parseAddressCommand(name, command)
    const address = addressAsSent(command.toString())
    if (parsed === false || address === undefined) return false
    const parameters = parsed.args || {}
    if (/[^ -~]/.test(address) || parameters.SMTPUTF8 === true) this.#clientSendsUtf8 = true
    const check = name === 'mail from' ? checkMailParameters : checkRcptParameters
    check(parameters)
    return { ...parsed, address }
  }

  override handler_MAIL(command: Buffer, callback: () => void): void {
    this.#answerPeerError(callback, () => super.handler_MAIL(command, callback))
  }

  override handler_RCPT(command: Buffer, callback: () => void): void {
    this.#answerPeerError(callback, () => super.handler_RCPT(command, callback))
  }

  /** BDAT's octets would be run as commands: the connection ends before they are read (case S22). */
  handler_BDAT(_command: Buffer, callback: () => void): void {
    this.reply(REPLIES.noChunking)
    this.close()
    callback()
  }

  /** The name is taken as it comes, blanks and all, and used for nothing (case S07). */
  override handler_EHLO(command: Buffer, callback: () => void): void {
    super.handler_EHLO(this.#cleanHello(command), callback)
  }

  override handler_HELO(command: Buffer, callback: () => void): void {
    super.handler_HELO(this.#cleanHello(command), callback)
  }

  #cleanHello(command: Buffer): Buffer {
    return Buffer.from(`EHLO ${cleanHelloName(command.toString('latin1'), MAX_HELLO_NAME_BYTES)}`)
  }

  /** Nothing sent in clear may reach the TLS session; a client that pipelines behind STARTTLS is cut off (RFC 3207 6). */
  override handler_STARTTLS(command: Buffer, callback: () => void): void {
    if (!this.secure && this._parser instanceof CommandStream && this._parser.hasMore) {
      this.reply(REPLIES.injectedBeforeTls)
      this.close()
      callback()
      return
    }
    super.handler_STARTTLS(command, callback)
  }

  /** Called at every end of a transaction: RSET, EHLO, HELO, STARTTLS, and after DATA. */
  override _resetSession(): void {
    super._resetSession()
    this.#refusedRecipients = 0
    this.dialog.reset()
    if (!this.session.user) this.dialog.forgetLogin()
  }

  #answerPeerError(callback: () => void, run: () => void): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof SmtpReplyError)) throw error
      this.reply(error.reply)
      callback()
    }
  }

  /** Answers MAIL or RCPT with what the port decided. */
  answer(reply: SmtpReply, callback: (error?: Error) => void): void {
    if (reply.replyCode < 400) {
      this.#accepted = reply
      callback()
      return
    }
    callback(new PackageError(reply))
  }

  recipientRefused(): boolean {
    this.#refusedRecipients += 1
    return this.#refusedRecipients > this.#context.limits.maxRefusedRecipients
  }

  loginFailed(): boolean {
    this.#failedLogins += 1
    return this.#failedLogins >= this.#context.limits.maxFailedLogins
  }
}

/** One server object per listening address: whether AUTH may go in clear is decided per address (design 6). */
export class SubmissionServer extends SMTPServer {
  readonly #context: AdapterContext
  readonly #open = new Map<SMTPServerSession, SubmissionConnection>()

  constructor(
    context: AdapterContext,
    listener: { readonly implicitTls: boolean; readonly isLoopback: boolean },
  ) {
    const { limits } = context
    super({
      ...context.tls,
      minVersion: 'TLSv1.2',
      secure: listener.implicitTls,
      allowInsecureAuth: listener.isLoopback,
      name: SERVER_NAME,
      banner: 'Confidant Bridge',
      heloResponse: '%s',
      authMethods: ['PLAIN', 'LOGIN'],
      authRequiredMessage: replyText(REPLIES.needLogin),
      disabledCommands: [...DISABLED_COMMANDS],
      hideENHANCEDSTATUSCODES: false,
      hideDSN: false,
      disableReverseLookup: true,
      logger: false,
      size: context.submission.maxMessageBytes,
      rejectOversized: true,
      // Our own check of addresses is addressAsSent; what cannot be reached is the bridge's to say (550 5.1.2).
      lenientAddressParsing: true,
      maxClients: context.maxConnections,
      maxRecipients: limits.maxRecipients,
      maxCommandLength: limits.maxCommandBytes,
      maxAllowedUnauthenticatedCommands: limits.maxUnauthenticatedCommands,
      socketTimeout: limits.idleTimeoutMs,
      closeTimeout: limits.closeGraceMs,
    })
    this.#context = context
    this.on('error', (cause) => context.log.debug({ cause }, 'a connection ended with an error'))
  }

  /** Connections that are open now. */
  get openConnections(): number {
    return this.#open.size
  }

  override connect(
    socket: ConstructorParameters<typeof SMTPConnection>[1],
    socketOptions?: ConnectionOptions,
  ): void {
    const connection = new SubmissionConnection(this, socket, {
      context: this.#context,
      given: socketOptions,
    })
    this.connections.add(connection)
    this.#open.set(connection.session, connection)
    connection.on('error', (error) => this._onError(error))
    const { clock, limits } = this.#context
    const cancel = clock.after(limits.maxUnauthenticatedMs, () => {
      if (!connection.session.user) connection.reply(REPLIES.loginTooLate)
    })
    socket.once('close', cancel)
    connection.init()
  }

  override onConnect(_session: SMTPServerSession, callback: (error?: Error | null) => void): void {
    callback(this.#context.hasRoom() ? null : new PackageError(REPLIES.tooManyConnections))
  }

  override onSecure(
    _socket: unknown,
    _session: SMTPServerSession,
    callback: (error?: Error | null) => void,
  ): void {
    callback(null)
  }

  override onAuth(...[auth, session, callback]: Parameters<SMTPServer['onAuth']>): void {
    const connection = this.#connectionOf(session)
    const attempt = connection.dialog.login({
      // PLAIN gives both identities; `username` would take the authorization identity for an empty authcid (S05).
      authcid: (auth.method === 'PLAIN' ? auth.authcid : auth.username) ?? '',
      authzid: auth.authzid ?? '',
      password: new Secret(auth.password ?? ''),
      protocol: 'smtp',
      remoteAddress: session.remoteAddress,
      secure: session.secure,
    })
    void attempt.then((answer) => {
      if (answer.kind === 'ok') return callback(null, { user: connection.id })
      const tooMany = answer.kind === 'failed' && connection.loginFailed()
      return callback(new PackageError(tooMany ? REPLIES.tooManyLogins : answer.reply))
    })
  }

  override onMailFrom(...[address, session, callback]: Parameters<SMTPServer['onMailFrom']>): void {
    const connection = this.#connectionOf(session)
    void connection.dialog
      .mail(mailFromCommand(address.address, address.args || {}))
      .then((reply) => connection.answer(reply, callback))
  }

  override onRcptTo(...[address, session, callback]: Parameters<SMTPServer['onRcptTo']>): void {
    const connection = this.#connectionOf(session)
    void connection.dialog.recipient(rcptToCommand(address.address, address.args || {})).then((reply) => {
      const tooMany = reply.replyCode >= 500 && connection.recipientRefused()
      connection.answer(tooMany ? REPLIES.tooManyRefusedRecipients : reply, callback)
    })
  }

  override onData(...[stream, session, callback]: Parameters<SMTPServer['onData']>): void {
    const connection = this.#connectionOf(session)
    const { maxMessageBytes } = this.#context.submission
    const content = new MessageContent(stream, maxMessageBytes)
    void connection.dialog.data(content, maxMessageBytes).then((reply) => {
      // Nobody is there to be answered; the package still wants its transaction ended.
      const words = reply ?? REPLIES.localError
      callback(words.replyCode < 400 ? null : new PackageError(words), replyText(words))
      content.discardRest(maxMessageBytes, () => {
        connection.reply(words)
        connection.close()
      })
    })
  }

  override onClose(session: SMTPServerSession): void {
    const connection = this.#open.get(session)
    this.#open.delete(session)
    void connection?.dialog.close()
  }

  /** Ends the idle connections with 421 at once; those that are taking a message get the grace of `closeGraceMs`. */
  shutDown(): Promise<void> {
    return new Promise((resolve) => {
      this.close(() => resolve())
      for (const connection of this.#open.values()) {
        if (!connection.dialog.isAccepting) connection.reply(REPLIES.shuttingDown)
      }
    })
  }

  #connectionOf(session: SMTPServerSession): SubmissionConnection {
    const connection = this.#open.get(session)
    if (connection === undefined) throw new Error('a command came on a connection that is closed')
    return connection
  }
}

import { unreachable } from '../../base/unreachable.ts'
import { type ByteChannel, ChannelClosedError, StartTlsError } from '../../net/byte-channel.ts'
import { SIGNED_MESSAGE_BEGIN } from '../block-text.ts'
import { encodeLine } from '../framer.ts'
import { type BlockKey, parseBlockKey, parseKeyId } from '../ids.ts'
import { administer } from './administer.ts'
import { answerDnsTxt } from './answer-dns-txt.ts'
import { answerSelftest } from './answer-selftest.ts'
import { AnswersInOrder } from './answers-in-order.ts'
import { type Command, type CommandParts, type LineAction, type LoginLevel, parseCommand } from './command.ts'
import type { CmServerContext, SessionUser } from './context.ts'
import { FrameIo } from './frame-io.ts'
import { answerGet } from './get-block.ts'
import { SERVER_LIMITS } from './limits.ts'
import { PacedFrames } from './paced-frames.ts'
import { type ReceivedBlock, receiveBlock } from './receive-block.ts'
import { acceptLargeText, acceptUpload, answerUpload, type Upload } from './upload.ts'

const GREETING = 'CONFIDANT MAIL SERVER PROTOCOL 1'

/** Speaks with one client until it leaves or has to go (CM wire 7). Throws only our own faults. */
export async function serveCmConnection(channel: ByteChannel, context: CmServerContext): Promise<void> {
  const { quotas } = context
  const leave = quotas?.enter(channel.remoteAddress)
  if (quotas !== undefined && leave === undefined) return quotas.explain(() => refuseCmConnection(channel))
  const session = new CmServerSession(channel, context)
  try {
    await session.run()
  } catch (error) {
    // The peer hung up, was dropped for its silence, or failed at TLS: nobody is left to be told.
    if (!(error instanceof ChannelClosedError || error instanceof StartTlsError)) throw error
  } finally {
    leave?.()
    session.finish()
  }
}

/** Tells a client that there is no room, without listening to it (CM wire 7.1). */
export async function refuseCmConnection(channel: ByteChannel): Promise<void> {
  try {
    await channel.write(encodeLine(`${GREETING} BUSY`))
    await channel.end()
  } catch (error) {
    if (!(error instanceof ChannelClosedError)) throw error
  }
}

type Next = 'continue' | 'end'

class CmServerSession {
  readonly #io: FrameIo
  readonly #context: CmServerContext
  readonly #remoteAddress: string
  readonly #answers = new AnswersInOrder((answer) => this.#reply(answer))
  #user: SessionUser | undefined
  /** A key that is taken away ends its sessions. */
  #isLoginValid: () => boolean = () => true
  #invalidCommands = 0
  #refusedLogins = 0
  #idleMs: number = SERVER_LIMITS.idleMs
  /** Something was taken that may have to go to other servers. */
  #hasQueued = false
  #isShutdown = false

  constructor(channel: ByteChannel, context: CmServerContext) {
    this.#io = new FrameIo(channel, context.clock)
    this.#remoteAddress = channel.remoteAddress
    this.#context = context
  }

  /** Blocks may be read ahead while others are stored; everything else waits for what came before it. */
  async run(): Promise<void> {
    try {
      await this.#converse()
    } finally {
      await this.#answers.settled()
    }
    await this.#io.end()
  }

  async #converse(): Promise<void> {
    await this.#reply(`${GREETING} READY`)
    for (let next: Next = 'continue'; next === 'continue'; ) {
      // A client that sends nothing more waits for its answers: its idle time begins behind them.
      if (this.#io.isQuiet) await this.#answers.settled()
      const frame = await this.#io.frame(this.#idleMs)
      this.#idleMs = SERVER_LIMITS.idleMs
      if (frame?.kind !== 'line' || !this.#isLoginValid()) break
      next = await this.#obey(frame.bare ? undefined : parseCommand(frame.line))
    }
  }

  /** What begins when the connection is over: sending (CM wire 9.4), or the server's end. */
  finish(): void {
    if (this.#hasQueued) this.#context.relay?.wake()
    if (this.#isShutdown) this.#context.onShutdown?.()
  }

  async #obey(command: Command | undefined): Promise<Next> {
    if (command?.rule.hasBlock === true) {
      this.#invalidCommands = 0
      const { rule, parts } = command
      return this.#obeyBlock({ action: this.#may(rule.level) ? rule.action : 'refused', parts })
    }
    await this.#answers.settled()
    if (command === undefined) return this.#onInvalid()
    this.#invalidCommands = 0
    const { rule, parts } = command
    const isAllowed = this.#may(rule.level)
    if (isAllowed) return this.#obeyLine(rule.action, parts)
    await this.#reply('FAILED')
    return 'continue'
  }

  async #onInvalid(): Promise<Next> {
    await this.#reply('INVALID COMMAND')
    this.#invalidCommands += 1
    return this.#invalidCommands < SERVER_LIMITS.invalidCommands ? 'continue' : 'end'
  }

  async #obeyLine(action: LineAction, parts: CommandParts): Promise<Next> {
    switch (action) {
      case 'starttls':
        return this.#startTls()
      case 'login':
        return this.#login(parts.userId ?? '', parts.authKey ?? '')
      case 'quit':
        await this.#reply('GOODBYE')
        return 'end'
      case 'shutdown':
        return this.#shutDown()
      default:
        await this.#answerLine(action, parts)
        return 'continue'
    }
  }

  async #answerLine(
    action: Exclude<LineAction, 'starttls' | 'login' | 'quit' | 'shutdown'>,
    parts: CommandParts,
  ): Promise<void> {
    switch (action) {
      case 'ping':
        return this.#write(Buffer.from(`PONG${parts.text ?? ''}\r\n`, 'latin1'))
      case 'get-server': {
        const request = { key: keyOf(parts), user: this.#user, since: parts.since }
        return answerGet(this.#context, request, (bytes) => this.#write(bytes))
      }
      // There is no DHT node: nothing is found in it.
      case 'get-entangled':
        return this.#reply('NOT FOUND')
      case 'dns-txt':
        return this.#write(await answerDnsTxt(parts.domain ?? '', this.#context))
      case 'selftest':
        return this.#reply(...(await answerSelftest(this.#context)))
      case 'addlogin':
      case 'rmlogin':
      case 'genlogin':
      case 'replogin':
        this.#hasQueued = true
        return this.#reply(...(await administer(action, parts, this.#context)))
      default:
        return unreachable(action)
    }
  }

  async #shutDown(): Promise<Next> {
    if (this.#context.onShutdown === undefined) {
      await this.#reply('FAILED')
      return 'continue'
    }
    this.#isShutdown = true
    await this.#reply('GOODBYE')
    return 'end'
  }

  /** A second STARTTLS is refused: the reference waits for a handshake underneath and is lost (CM wire 7.2). */
  async #startTls(): Promise<Next> {
    if (this.#io.secure) {
      await this.#reply('FAILED')
      return 'continue'
    }
    // What was sent behind STARTTLS in plaintext could have been put there by anyone (CM wire S4).
    if (!this.#io.isQuiet) {
      this.#io.destroy()
      return 'end'
    }
    await this.#reply('PROCEED')
    await this.#io.startTls(this.#context.tls())
    await this.#reply('ENCRYPTED')
    return 'continue'
  }

  /** LOGIN needs TLS (S4) and is possible once; the user is set by a good one and by nothing else (CM wire 7.7, S1). */
  async #login(userId: string, authKey: string): Promise<Next> {
    const { accounts, quotas, relay } = this.#context
    const outcome =
      this.#io.secure && this.#user === undefined
        ? await accounts.login(userId, authKey, {
            which: quotas?.mayGuess(this.#remoteAddress) === false ? 'remembered' : 'all',
            tellPeer: relay?.hasPeer === true,
          })
        : ({ kind: 'refused' } as const)
    if (outcome.kind === 'ok') {
      this.#user = { userId: outcome.userId, keyId: parseKeyId(outcome.userId) }
      this.#isLoginValid = outcome.isValid
      await this.#reply('DONE')
      return 'continue'
    }
    quotas?.noteRefusedLogin(this.#remoteAddress)
    await this.#reply('FAILED')
    this.#refusedLogins += 1
    this.#idleMs = SERVER_LIMITS.refusedLoginIdleMs
    return this.#refusedLogins < SERVER_LIMITS.refusedLogins ? 'continue' : 'end'
  }

  /** The block is read to its end before anything is said, also of what is not allowed (CM wire 7.4). */
  async #obeyBlock({ action, parts }: Pick<Upload, 'action' | 'parts'>): Promise<Next> {
    const upload: Upload = { action, parts, key: keyOf(parts), user: this.#user }
    this.#io.startBlock()
    const frames = new PacedFrames(this.#io, this.#context.clock)
    const received = await receiveBlock({
      ready: () => frames.ready(),
      frame: () => frames.frame(),
      acceptData: (headerText, payloadBytes) =>
        acceptUpload(upload, { headerText, payloadBytes }, this.#context),
      acceptLargeText: () => acceptLargeText(upload, this.#context),
    })
    if (received.kind === 'lost') return 'end'
    // Exactly as the reference: no line, no answer (CM wire 7.4).
    if (received.kind === 'empty') return 'continue'
    this.#hasQueued = true
    // Whether a claim is verified depends on the key that may have come just before it.
    if (received.kind === 'text' && received.text.includes(SIGNED_MESSAGE_BEGIN))
      await this.#answers.settled()
    await this.#answers.add(answerUpload(upload, received, this.#context), heldBytes(received))
    return 'continue'
  }

  #may(level: LoginLevel): boolean {
    return level === 'anyone' || this.#user?.userId.toLowerCase() === level
  }

  #reply(...lines: readonly string[]): Promise<void> {
    return this.#write(Buffer.concat(lines.map(encodeLine)))
  }

  #write(bytes: Uint8Array): Promise<void> {
    const atSlowestMs = (bytes.length / SERVER_LIMITS.slowestBytesPerSecond) * 1000
    return this.#io.write(bytes, SERVER_LIMITS.idleMs + atSlowestMs)
  }
}

/** Octets a block holds while it is judged and stored. */
function heldBytes(received: ReceivedBlock): number {
  if (received.kind === 'text') return received.text.length
  return received.kind === 'small-data' ? received.payload.length : 0
}

function keyOf({ key }: CommandParts): BlockKey {
  const blockKey = parseBlockKey(key ?? '')
  if (blockKey === undefined) throw new Error('the grammar let a key through that is none')
  return blockKey
}

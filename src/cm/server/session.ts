import { unreachable } from '../../base/unreachable.ts'
import { type ByteChannel, ChannelClosedError, StartTlsError } from '../../net/byte-channel.ts'
import { type CmFrame, encodeLine } from '../framer.ts'
import { type BlockKey, parseBlockKey, parseKeyId } from '../ids.ts'
import { type Command, type CommandAction, type LoginLevel, parseCommand } from './command.ts'
import type { CmServerContext, SessionUser } from './context.ts'
import { FrameIo } from './frame-io.ts'
import { answerGet } from './get-block.ts'
import { SERVER_LIMITS } from './limits.ts'
import { receiveBlock } from './receive-block.ts'
import { acceptPayload, storeBlock } from './store-block.ts'

const GREETING = 'CONFIDANT MAIL SERVER PROTOCOL 1'

/** Speaks with one client until it leaves or has to go (CM wire 7). Throws only our own faults. */
export async function serveCmConnection(channel: ByteChannel, context: CmServerContext): Promise<void> {
  try {
    await new CmServerSession(new FrameIo(channel, context.clock), context).run()
  } catch (error) {
    // The peer hung up, was dropped for its silence, or failed at TLS: nobody is left to be told.
    if (!(error instanceof ChannelClosedError || error instanceof StartTlsError)) throw error
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
  #user: SessionUser | undefined
  #invalidCommands = 0
  #refusedLogins = 0
  #idleMs: number = SERVER_LIMITS.idleMs

  constructor(io: FrameIo, context: CmServerContext) {
    this.#io = io
    this.#context = context
  }

  async run(): Promise<void> {
    await this.#reply(`${GREETING} READY`)
    for (let next: Next = 'continue'; next === 'continue'; ) {
      const frame = await this.#io.frame(this.#idleMs)
      this.#idleMs = SERVER_LIMITS.idleMs
      if (frame?.kind !== 'line') break
      next = await this.#obey(frame.bare ? undefined : parseCommand(frame.line))
    }
    await this.#io.end()
  }

  async #obey(command: Command | undefined): Promise<Next> {
    if (command === undefined) return this.#onInvalid()
    this.#invalidCommands = 0
    const action = this.#may(command.rule.level) ? command.rule.action : 'failed'
    return command.rule.hasBlock ? this.#obeyBlock(command, action) : this.#obeyLine(command, action)
  }

  async #onInvalid(): Promise<Next> {
    await this.#reply('INVALID COMMAND')
    this.#invalidCommands += 1
    return this.#invalidCommands < SERVER_LIMITS.invalidCommands ? 'continue' : 'end'
  }

  async #obeyLine({ parts }: Command, action: CommandAction): Promise<Next> {
    switch (action) {
      case 'starttls':
        return this.#startTls()
      case 'quit':
        await this.#reply('GOODBYE')
        return 'end'
      case 'ping':
        await this.#write(Buffer.from(`PONG${parts.text ?? ''}\r\n`, 'latin1'))
        return 'continue'
      case 'login':
        return this.#login(parts.userId ?? '', parts.authKey ?? '')
      case 'get-server':
        await answerGet(this.#context.blocks, { ...this.#target(parts.key), since: parts.since }, (bytes) =>
          this.#write(bytes),
        )
        return 'continue'
      case 'selftest':
        await this.#reply('PASS', 'EndBlock')
        return 'continue'
      case 'not-found':
        await this.#reply('NOT FOUND')
        return 'continue'
      case 'failed':
      case 'store-server':
        await this.#reply('FAILED')
        return 'continue'
      default:
        return unreachable(action)
    }
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

  /** LOGIN needs TLS (S4) and is possible once (CM wire 7.7). */
  async #login(userId: string, authKey: string): Promise<Next> {
    const outcome =
      this.#io.secure && this.#user === undefined
        ? await this.#context.accounts.login(userId, authKey)
        : ({ kind: 'refused' } as const)
    if (outcome.kind === 'ok') {
      this.#user = { userId: outcome.userId, keyId: parseKeyId(outcome.userId) }
      await this.#reply('DONE')
      return 'continue'
    }
    await this.#reply('FAILED')
    this.#refusedLogins += 1
    this.#idleMs = SERVER_LIMITS.refusedLoginIdleMs
    return this.#refusedLogins < SERVER_LIMITS.refusedLogins ? 'continue' : 'end'
  }

  async #obeyBlock({ parts }: Command, action: CommandAction): Promise<Next> {
    const isStored = action === 'store-server'
    const target = this.#target(parts.key)
    this.#io.startBlock()
    const received = await receiveBlock({
      frame: this.#pacedFrames(),
      acceptData: async (headerText) => (isStored ? acceptPayload(headerText, this.#context) : undefined),
    })
    if (received.kind === 'lost') return 'end'
    // Exactly as the reference: no line, no answer (CM wire 7.4).
    if (received.kind === 'empty') return 'continue'
    if (!isStored) {
      await this.#reply('FAILED')
      return 'continue'
    }
    await this.#reply(await storeBlock(received, target, this.#context))
    return 'continue'
  }

  /** Frames of one block: each within the idle time, all of them no slower than the slowest peer we wait for. */
  #pacedFrames(): () => Promise<CmFrame | undefined> {
    const { clock } = this.#context
    const { idleMs, slowestBytesPerSecond } = SERVER_LIMITS
    const startedMs = clock.now()
    let bytes = 0
    return async () => {
      const leftMs = startedMs + 2 * idleMs + (bytes / slowestBytesPerSecond) * 1000 - clock.now()
      const frame = await this.#io.frame(Math.max(0, Math.min(idleMs, leftMs)))
      if (frame?.kind === 'line') bytes += frame.line.length
      if (frame?.kind === 'payload') bytes += frame.bytes.length
      return frame
    }
  }

  #target(key: string | undefined): { readonly key: BlockKey; readonly user: SessionUser | undefined } {
    const blockKey = parseBlockKey(key ?? '')
    if (blockKey === undefined) throw new Error('the grammar let a key through that is none')
    return { key: blockKey, user: this.#user }
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

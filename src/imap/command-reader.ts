import type { ByteChannel } from '../net/byte-channel.ts'
import { type Frame, Framer, type LiteralHeader } from './framer.ts'
import { type CommandLimits, LIMITS_BEFORE_LOGIN } from './limits.ts'
import type { AwaitedLiteral, Segment } from './parser.ts'
import { ImapByeError } from './reply-error.ts'

/** The peer has closed its side; nothing is said any more. */
export class EndOfInputError extends Error {
  override readonly name = 'EndOfInputError'
}

export type ReceivedCommand =
  /** All of it, but for the message of an APPEND, which is `awaited`. */
  | {
      readonly kind: 'command'
      readonly segments: readonly Segment[]
      readonly awaited: AwaitedLiteral | null
    }
  /** Not taken, and read to its end; `start` is the beginning of its first line, for the tag. */
  | { readonly kind: 'refused'; readonly start: string; readonly text: string }

/** What is still to be read of the command that is being run: the awaited literal, its octets, the line behind it. */
type CommandTail =
  | { readonly name: 'none' | 'literal' | 'rest' }
  | { readonly name: 'awaited'; readonly literal: LiteralHeader }

const NO_TAIL: CommandTail = { name: 'none' }

/** Puts the frames of one connection together to commands. Reads from the channel only when it needs more bytes. */
export class CommandReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #framer = new Framer(LIMITS_BEFORE_LOGIN)
  readonly #requestLiteral: () => Promise<void>
  #limits: CommandLimits = LIMITS_BEFORE_LOGIN
  #tail: CommandTail = NO_TAIL

  /** `requestLiteral` sends the continuation request of a synchronizing literal. */
  constructor(channel: ByteChannel, requestLiteral: () => Promise<void>) {
    this.#chunks = channel[Symbol.asyncIterator]()
    this.#requestLiteral = requestLiteral
  }

  setLimits(limits: CommandLimits): void {
    this.#limits = limits
    this.#framer.setLimits(limits)
  }

  /** True when nothing the client sent waits here unread. */
  get isEmpty(): boolean {
    return this.#framer.isEmpty
  }

  async readCommand(): Promise<ReceivedCommand> {
    const segments: Segment[] = []
    let totalBytes = 0
    for (;;) {
      const frame = await this.#frame(() => this.#framer.next())
      if (frame.kind === 'broken-line') return this.#refuse(segments, frame)
      if (frame.kind !== 'line') throw new Error(`a ${frame.kind} frame where a line begins`)
      const line = toByteString(frame.text)
      segments.push({ kind: 'text', bytes: line.slice(0, line.length - headerLength(line, frame.literal)) })
      totalBytes += line.length
      const { literal } = frame
      if (literal === null) return { kind: 'command', segments, awaited: null }
      if (isMessageLiteral(segments)) {
        this.#tail = { name: 'awaited', literal }
        return { kind: 'command', segments, awaited: { size: literal.size } }
      }
      totalBytes += literal.size
      if (literal.size > this.#limits.maxLiteralBytes || totalBytes > this.#limits.maxCommandBytes) {
        await this.#skipCommand()
        return { kind: 'refused', start: segments[0]?.bytes ?? '', text: 'Literal too large' }
      }
      segments.push({ kind: 'literal', bytes: await this.#readArgument(literal) })
    }
  }

  /** The next line, which is no command. An over-long one is given as an empty line, which no one takes for an answer. */
  async readLine(): Promise<string> {
    const frame = await this.#frame(() => this.#framer.nextContinuationLine())
    return frame.kind === 'line' ? toByteString(frame.text) : ''
  }

  /** Takes the literal `readCommand` left, and gives its octets. */
  async *readAwaited(): AsyncGenerator<Uint8Array, void> {
    if (this.#tail.name !== 'awaited') throw new Error('no literal is awaited')
    const { literal } = this.#tail
    this.#tail = { name: 'literal' }
    this.#framer.acceptLiteral()
    if (literal.sync) await this.#requestLiteral()
    yield* this.#literalChunks()
  }

  /** What follows that literal on its line; undefined when a further literal comes, which is refused. */
  async readRest(): Promise<string | undefined> {
    this.#tail = NO_TAIL
    const frame = await this.#frame(() => this.#framer.next())
    if (frame.kind === 'line' && frame.literal === null) return toByteString(frame.text)
    if ('literal' in frame && frame.literal !== null) await this.#skipCommand()
    return undefined
  }

  /** Reads to the end of a command whose awaited literal was not taken, or not all of it, and drops that. */
  async finishCommand(): Promise<void> {
    if (this.#tail.name === 'awaited') {
      this.#tail = NO_TAIL
      await this.#skipCommand()
      return
    }
    if (this.#tail.name === 'literal') for await (const _dropped of this.#literalChunks());
    if (this.#tail.name === 'rest') await this.readRest()
  }

  async #refuse(
    segments: readonly Segment[],
    frame: Frame & { kind: 'broken-line' },
  ): Promise<ReceivedCommand> {
    if (frame.literal !== null) await this.#skipCommand()
    const text = frame.reason === 'too-long' ? 'Line too long' : 'Lines end in CRLF'
    return { kind: 'refused', start: segments[0]?.bytes ?? toByteString(frame.start), text }
  }

  async #skipCommand(): Promise<void> {
    this.#framer.refuseLiteral()
    const frame = await this.#frame(() => this.#framer.next())
    if (frame.kind !== 'skipped') throw new Error(`a ${frame.kind} frame while a command is skipped`)
  }

  async #readArgument(literal: LiteralHeader): Promise<string> {
    this.#framer.acceptLiteral()
    if (literal.sync) await this.#requestLiteral()
    const parts: string[] = []
    for await (const chunk of this.#literalChunks()) parts.push(toByteString(chunk))
    return parts.join('')
  }

  async *#literalChunks(): AsyncGenerator<Uint8Array, void> {
    for (let last = false; !last; ) {
      const frame = await this.#frame(() => this.#framer.next())
      if (frame.kind !== 'literal') throw new Error(`a ${frame.kind} frame inside a literal`)
      last = frame.last
      if (last && this.#tail.name === 'literal') this.#tail = { name: 'rest' }
      yield frame.bytes
    }
  }

  async #frame(take: () => Frame | undefined): Promise<Frame> {
    for (;;) {
      const frame = take()
      if (frame?.kind === 'hopeless') throw new ImapByeError(frame.reason)
      if (frame !== undefined) return frame
      const chunk = await this.#chunks.next()
      if (chunk.done === true) throw new EndOfInputError()
      this.#framer.push(chunk.value)
    }
  }
}

function toByteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Length of `{n}` or `{n+}` at the end of the line. */
function headerLength(line: string, literal: LiteralHeader | null): number {
  return literal === null ? 0 : line.length - line.lastIndexOf('{')
}

/** True when the literal that follows is the message of APPEND: it is never the first argument, and no other argument but that one can be a literal. */
function isMessageLiteral(segments: readonly Segment[]): boolean {
  const first = segments[0]?.bytes ?? ''
  if (!/^[^ ]+ APPEND /i.test(first)) return false
  return segments.length > 1 || !/^[^ ]+ APPEND $/i.test(first)
}

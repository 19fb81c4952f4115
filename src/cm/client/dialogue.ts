import { type Clock, duration } from '../../base/clock.ts'
import {
  type ByteChannel,
  ChannelClosedError,
  type ClientTlsContext,
  StartTlsError,
} from '../../net/byte-channel.ts'
import { type CmFrame, CmFramer, encodeLine } from '../framer.ts'
import { CmProtocolError } from './cm-protocol-error.ts'

/** How long a server may take; every wait of a session is one of these. */
export interface CmTimeouts {
  /** Milliseconds until the next octet of a reply, and until it takes the next octets of ours. */
  readonly replyMs: number
  /** Milliseconds until the answer to a stored payload: the server hashes, proves and writes it first. */
  readonly storeMs: number
  /** Milliseconds for a whole text reply, and for greeting and TLS together: a server that drips is cut off. */
  readonly wholeReplyMs: number
}

/** The reference waits 15 s and looks every 5 s, and without end after a payload (CM wire 7.10, S18). */
export const DEFAULT_CM_TIMEOUTS: CmTimeouts = {
  replyMs: 20 * duration.second,
  storeMs: 2 * duration.minute,
  wholeReplyMs: 2 * duration.minute,
}

/** The slowest server that is waited for, octets per second in either direction; bounds the time of one payload. */
const SLOWEST_BYTES_PER_SECOND = 2048

/** Milliseconds a payload may take on the wire, beyond the first wait. */
export function payloadTimeMs(bytes: number): number {
  return (bytes / SLOWEST_BYTES_PER_SECOND) * duration.second
}

/**
 * One side of a question-and-answer dialogue over a channel. Every wait has an end; whatever goes wrong destroys the
 * channel and is thrown as `CmProtocolError`, again at every later step.
 */
export class CmDialogue {
  readonly timeouts: CmTimeouts
  readonly #channel: ByteChannel
  readonly #clock: Clock
  #framer = new CmFramer()
  #chunks: AsyncIterator<Uint8Array>
  #failure: CmProtocolError | undefined
  #chunksRead = 0

  constructor(channel: ByteChannel, clock: Clock, timeouts: CmTimeouts) {
    this.#channel = channel
    this.#clock = clock
    this.timeouts = timeouts
    this.#chunks = channel[Symbol.asyncIterator]()
  }

  get channel(): ByteChannel {
    return this.#channel
  }

  /** Pieces the server sent so far, of any size. */
  get chunksRead(): number {
    return this.#chunksRead
  }

  /** Nothing went wrong yet, and nothing waits that nobody asked for. */
  get isSound(): boolean {
    return this.#failure === undefined && this.#framer.isEmpty
  }

  /** Sends a command line. Octets that already wait belong to no question: the reply before was split (S5). */
  async ask(command: string): Promise<void> {
    if (!this.#framer.isEmpty) throw this.fail(new CmProtocolError('unsolicited-bytes'))
    await this.send(encodeLine(command))
  }

  async send(bytes: Uint8Array): Promise<void> {
    await this.within(this.timeouts.replyMs, () => this.#channel.write(bytes))
  }

  /**
   * Sends a payload of `payloadBytes` in pieces; each has the time of a reply, and all together what the slowest line
   * takes. Waiting for a turn (`pass`) does not count. Returns the octets that were sent.
   */
  async sendPayload(
    chunks: AsyncIterable<Uint8Array>,
    payloadBytes: number,
    pass: (bytes: number) => Promise<void>,
  ): Promise<number> {
    let leftMs = this.timeouts.replyMs + payloadTimeMs(payloadBytes)
    let sent = 0
    for await (const chunk of chunks) {
      await pass(chunk.length)
      const startedMs = this.#clock.now()
      await this.send(chunk)
      leftMs -= this.#clock.now() - startedMs
      if (leftMs < 0) throw this.fail(new CmProtocolError('timeout'))
      sent += chunk.length
    }
    return sent
  }

  /** The next reply line, whole within `timeoutMs`. */
  async line(timeoutMs = this.timeouts.replyMs): Promise<string> {
    const frame = await this.within(timeoutMs, () => this.frame(timeoutMs))
    if (frame.kind !== 'line' || frame.bare) throw this.fail(new CmProtocolError('malformed-reply'))
    return frame.line
  }

  startBlock(): void {
    this.#framer.startBlock()
  }

  leaveBlock(): void {
    this.#framer.leaveBlock()
  }

  /** The next frame; `timeoutMs` is for each octet that is waited for. */
  async frame(timeoutMs = this.timeouts.replyMs): Promise<CmFrame> {
    for (;;) {
      const frame = this.#framer.next()
      if (frame?.kind === 'too-long') throw this.fail(new CmProtocolError('line-too-long'))
      if (frame !== undefined) return frame
      const chunk = await this.within(timeoutMs, () => this.#chunks.next())
      if (chunk.done === true) throw this.fail(new CmProtocolError('closed'))
      this.#chunksRead += 1
      this.#framer.push(chunk.value)
    }
  }

  /** TLS starts with a new framer; plaintext that waits in the old one ends the connection. */
  async startTls(context: ClientTlsContext): Promise<void> {
    if (!this.#framer.isEmpty) throw this.fail(new CmProtocolError('tls'))
    await this.within(this.timeouts.replyMs, () => this.#channel.startTls(context))
    this.#framer = new CmFramer()
    this.#chunks = this.#channel[Symbol.asyncIterator]()
  }

  /** Runs one step with an end: when the time is over the channel is destroyed and the step fails with `timeout`. */
  async within<T>(timeoutMs: number, step: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    const cancel = this.#clock.after(timeoutMs, () => {
      // Recorded first: what breaks because of the destroyed channel is only a consequence.
      this.fail(new CmProtocolError('timeout'))
    })
    try {
      return await step()
    } catch (error) {
      throw this.fail(error)
    } finally {
      cancel()
    }
  }

  /** Ends the dialogue because of `error`; returns what to throw. Our own faults are passed on as they are. */
  fail(error: unknown): unknown {
    this.#channel.destroy()
    const failure = asProtocolError(error)
    if (failure !== undefined) this.#failure ??= failure
    return this.#failure ?? error
  }
}

function asProtocolError(error: unknown): CmProtocolError | undefined {
  if (error instanceof CmProtocolError) return error
  if (error instanceof ChannelClosedError) return new CmProtocolError('closed', { cause: error })
  if (error instanceof StartTlsError) return new CmProtocolError('tls', { cause: error })
  return undefined
}

import type { Clock } from '../../base/clock.ts'
import type { ByteChannel, ServerTlsContext } from '../../net/byte-channel.ts'
import { type CmFrame, CmFramer } from '../framer.ts'

/** A server's end of a connection: frames in, octets out, each with an end. When time is over the channel is dropped. */
export class FrameIo {
  readonly #channel: ByteChannel
  readonly #clock: Clock
  #framer = new CmFramer()
  #chunks: AsyncIterator<Uint8Array>

  constructor(channel: ByteChannel, clock: Clock) {
    this.#channel = channel
    this.#clock = clock
    this.#chunks = channel[Symbol.asyncIterator]()
  }

  get secure(): boolean {
    return this.#channel.secure
  }

  startBlock(): void {
    this.#framer.startBlock()
  }

  /** A frame that has arrived already. */
  ready(): CmFrame | undefined {
    return this.#framer.next()
  }

  /** The next whole frame within `timeoutMs`; undefined when the peer is gone, or was dropped for its silence. */
  async frame(timeoutMs: number): Promise<CmFrame | undefined> {
    const ready = this.#framer.next()
    if (ready !== undefined) return ready
    const cancel = this.#clock.after(timeoutMs, () => this.#channel.destroy())
    try {
      for (;;) {
        const chunk = await this.#chunks.next()
        if (chunk.done === true) return undefined
        this.#framer.push(chunk.value)
        const frame = this.#framer.next()
        if (frame !== undefined) return frame
      }
    } finally {
      cancel()
    }
  }

  /** Throws ChannelClosedError when the peer is gone, or takes nothing for `timeoutMs`. */
  async write(bytes: Uint8Array, timeoutMs: number): Promise<void> {
    const cancel = this.#clock.after(timeoutMs, () => this.#channel.destroy())
    try {
      await this.#channel.write(bytes)
    } finally {
      cancel()
    }
  }

  /** True when the client sent nothing behind the line it is answered for. */
  get isQuiet(): boolean {
    return this.#framer.isEmpty
  }

  /** Nothing that came before TLS is ever read after it (CM wire S4). Throws StartTlsError. */
  async startTls(context: ServerTlsContext): Promise<void> {
    await this.#channel.startTls(context)
    this.#framer = new CmFramer()
    this.#chunks = this.#channel[Symbol.asyncIterator]()
  }

  async end(): Promise<void> {
    await this.#channel.end()
  }

  destroy(): void {
    this.#channel.destroy()
  }
}

import type { Clock } from '../../base/clock.ts'
import type { CmFrame } from '../framer.ts'
import type { FrameIo } from './frame-io.ts'
import { SERVER_LIMITS } from './limits.ts'

const { idleMs, slowestBytesPerSecond } = SERVER_LIMITS

/** Frames of one block: each within the idle time, all of them no slower than the slowest peer we wait for. */
export class PacedFrames {
  readonly #io: FrameIo
  readonly #clock: Clock
  readonly #startedMs: number
  #bytes = 0

  constructor(io: FrameIo, clock: Clock) {
    this.#io = io
    this.#clock = clock
    this.#startedMs = clock.now()
  }

  /** A frame that has arrived already. */
  ready(): CmFrame | undefined {
    return this.#counted(this.#io.ready())
  }

  /** The next frame; undefined when the peer is gone, or was dropped for its slowness. */
  async frame(): Promise<CmFrame | undefined> {
    const earnedMs = (this.#bytes / slowestBytesPerSecond) * 1000
    const leftMs = this.#startedMs + 2 * idleMs + earnedMs - this.#clock.now()
    return this.#counted(await this.#io.frame(Math.max(0, Math.min(idleMs, leftMs))))
  }

  #counted(frame: CmFrame | undefined): CmFrame | undefined {
    if (frame?.kind === 'line') this.#bytes += frame.line.length
    else if (frame?.kind === 'payload') this.#bytes += frame.bytes.length
    return frame
  }
}

import { type Clock, duration, sleep } from '../../base/clock.ts'

/** Octets are handed over in steps of this length, as the reference does (CM wire 8.5). */
const STEP_MS = 200
const KILOBYTE = 1024

/**
 * Holds the payloads of data blocks down to a rate, all uploads of the process together: each piece waits for the turn
 * that the pieces before it leave. Source: CM wire 8.5.
 */
export class UploadThrottle {
  readonly #clock: Clock
  readonly #bytesPerMs: number
  /** When the line is free again, milliseconds of the clock. */
  #freeMs = 0

  constructor(clock: Clock, kilobytesPerSecond: number) {
    this.#clock = clock
    this.#bytesPerMs = (kilobytesPerSecond * KILOBYTE) / duration.second
  }

  /** The largest piece to give to `pass` at once: what goes out in one step. */
  get pieceBytes(): number {
    return Math.max(1, Math.floor(this.#bytesPerMs * STEP_MS))
  }

  /** Resolves when so many octets may be written. */
  async pass(bytes: number): Promise<void> {
    const nowMs = this.#clock.now()
    // A clock that was set back must not stop uploads for as long.
    const backlogMs = Math.max(0, this.#freeMs - nowMs)
    const waitMs = backlogMs > MAX_BACKLOG_MS ? 0 : backlogMs
    this.#freeMs = nowMs + waitMs + bytes / this.#bytesPerMs
    if (waitMs > 0) await sleep(this.#clock, waitMs)
  }
}

/** More uploads than that never wait at the same time, one step each; beyond it the clock was changed. */
const MAX_BACKLOG_MS = 5 * duration.minute

import type { Clock } from '../../src/base/clock.ts'

/** A clock that stands still until told: only timers asked of it, never those inside a package. */
export class ManualClock implements Clock {
  #nowMs: number
  readonly #timers = new Map<() => void, number>()

  constructor(nowMs = Date.UTC(2026, 1, 3)) {
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    this.#timers.set(callback, this.#nowMs + delayMs)
    return () => this.#timers.delete(callback)
  }

  advance(ms: number): void {
    this.#nowMs += ms
    for (const [callback, at] of [...this.#timers]) {
      if (at <= this.#nowMs && this.#timers.delete(callback)) callback()
    }
  }
}

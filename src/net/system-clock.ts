import type { Clock } from '../base/clock.ts'

/** Milliseconds: the longest a timer can be set at once (2^31 - 1); longer waits are made of several. */
const LONGEST_TIMER_MS = 2_147_483_647

/** The machine's clock and timers; timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number): void => {
      const partMs = Math.min(leftMs, LONGEST_TIMER_MS)
      timer = setTimeout(() => (leftMs > partMs ? wait(leftMs - partMs) : callback()), partMs)
      timer.unref()
    }
    wait(Math.max(0, delayMs))
    return () => clearTimeout(timer)
  },
}

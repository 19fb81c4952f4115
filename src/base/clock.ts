/**
 * Time as an argument: every module that needs the time takes a Clock, so that tests own it.
 * Only `main.ts`, `net/` and `bridge/queue-bullmq.ts` may read the machine's clock.
 */
export interface Clock {
  /** Milliseconds since 1970 UTC. */
  now(): number
  /** Runs `callback` once after `delayMs`; returns a function that cancels it. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): () => void
}

/** Resolves after `delayMs` of the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve)
  })
}

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Lengths of time in milliseconds. */
export const duration = { second: SECOND_MS, minute: MINUTE_MS, hour: HOUR_MS, day: DAY_MS } as const

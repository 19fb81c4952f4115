import { duration } from '../../../base/clock.ts'
import type { Retry } from './queue-port.ts'

/** Milliseconds to wait after n failures in a row; the last one repeats (CM wire 9.4, 9.7, `retry_schedule`). */
export const RETRY_SCHEDULE_MS: readonly number[] = [
  0,
  2 * duration.minute,
  5 * duration.minute,
  30 * duration.minute,
  duration.hour,
]

/** The state after one more failure: entry number `failures` of the schedule counts (CM wire C.13). */
export function nextRetry(before: number, nowMs: number, scheduleMs: readonly number[]): Retry {
  const failures = before + 1
  const delayMs = scheduleMs[Math.min(failures, scheduleMs.length - 1)] ?? 0
  return { failures, nextMs: nowMs + delayMs }
}

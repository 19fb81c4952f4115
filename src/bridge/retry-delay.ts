import { duration } from '../base/clock.ts'

/** A message that is not on its way by then is reported as delayed (design 7.9). */
export const DELAY_REPORT_AFTER_MS = 4 * duration.hour
/** Then it is reported as failed. */
export const GIVE_UP_AFTER_MS = 3 * duration.day
/** But not before that many tries in a row, some two hours: a computer that slept for four days has not tried. */
const GIVE_UP_TRIES = 12

const FIRST_RETRY_MS = 10 * duration.second
/** The longest distance between two tries (design 7.9). */
const MAX_RETRY_MS = duration.hour
/** Share of a delay that is random, so that what began together does not come back in step. */
const JITTER = 0.2

/**
 * How long to wait after the n-th failure in a row (0 for the first): doubling up to an hour, ± 20 %.
 * `random` is in [0, 1).
 */
export function retryDelayMs(failures: number, random: number): number {
  const base = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 20), MAX_RETRY_MS)
  return jittered(base, random)
}

/** True when servers that do not answer are given up; `failures` in a row before this one. */
export function isGivenUp(ageMs: number, failures: number): boolean {
  return ageMs >= GIVE_UP_AFTER_MS && failures >= GIVE_UP_TRIES
}

/** A distance in milliseconds, ± 20 %; `random` is in [0, 1). */
export function jittered(baseMs: number, random: number): number {
  return Math.round(baseMs * (1 - JITTER + 2 * JITTER * random))
}

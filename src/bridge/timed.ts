import type { Clock } from '../base/clock.ts'

/** Runs `find` with a signal that is aborted after `timeMs`. */
export async function timed<T>(
  clock: Clock,
  timeMs: number,
  find: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeUp = new AbortController()
  const cancel = clock.after(timeMs, () => timeUp.abort())
  try {
    return await find(timeUp.signal)
  } finally {
    cancel()
  }
}

import type { Clock } from '../../base/clock.ts'

/**
 * Runs `find` until it ends, the time is up or the signal is aborted, whichever comes first. What is left behind learns
 * it by its own signal and ends by its own time-outs; nobody waits for it.
 */
export async function withinTime<T>(
  limits: { readonly clock: Clock; readonly timeMs: number; readonly signal: AbortSignal },
  find: (signal: AbortSignal) => Promise<T>,
): Promise<T | 'time-up'> {
  if (limits.signal.aborted) return 'time-up'
  const own = new AbortController()
  const { promise: timeUp, resolve } = Promise.withResolvers<'time-up'>()
  const end = (): void => {
    own.abort()
    resolve('time-up')
  }
  limits.signal.addEventListener('abort', end, { once: true })
  const cancel = limits.clock.after(limits.timeMs, end)
  try {
    return await Promise.race([find(own.signal), timeUp])
  } finally {
    cancel()
    limits.signal.removeEventListener('abort', end)
  }
}

import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../../src/base/clock.ts'
import { UploadThrottle } from '../../../../src/cm/client/upload-throttle.ts'

/** Time passes only by waiting. */
function waitingClock(): Clock & { nowMs: number } {
  return {
    nowMs: 1_000_000,
    now() {
      return this.nowMs
    },
    after(delayMs, callback) {
      queueMicrotask(() => {
        this.nowMs += delayMs
        callback()
      })
      return () => undefined
    },
  }
}

describe('UploadThrottle', () => {
  it('lets 10 kB/s through, in pieces of a fifth of a second', async () => {
    const clock = waitingClock()
    const throttle = new UploadThrottle(clock, 10)
    expect(throttle.pieceBytes).toBe(2048)
    const startMs = clock.nowMs
    for (let sent = 0; sent < 100; sent += 1) await throttle.pass(throttle.pieceBytes)
    // The first piece goes at once.
    expect(clock.nowMs - startMs).toBeCloseTo(99 * 200, 0)
  })

  it('shares the rate among all uploads of the process', async () => {
    const clock = waitingClock()
    const throttle = new UploadThrottle(clock, 10)
    const startMs = clock.nowMs
    const upload = async () => {
      for (let piece = 0; piece < 10; piece += 1) await throttle.pass(2048)
    }
    await Promise.all([upload(), upload()])
    expect(clock.nowMs - startMs).toBeGreaterThanOrEqual(19 * 200 - 1)
  })

  it('saves nothing up while nobody uploads', async () => {
    const clock = waitingClock()
    const throttle = new UploadThrottle(clock, 1)
    await throttle.pass(1024)
    clock.nowMs += 3_600_000
    await throttle.pass(1024)
    const startMs = clock.nowMs
    await throttle.pass(1024)
    expect(clock.nowMs - startMs).toBeCloseTo(1000, 0)
  })

  it('does not stop when the clock is set back', async () => {
    const clock = waitingClock()
    const throttle = new UploadThrottle(clock, 1)
    await throttle.pass(1024)
    clock.nowMs -= 86_400_000
    const startMs = clock.nowMs
    await throttle.pass(1024)
    expect(clock.nowMs - startMs).toBe(0)
  })
})

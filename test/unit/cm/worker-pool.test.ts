import { afterAll, describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import { parseBlockKey } from '../../../src/cm/ids.ts'
import { createWorkerPool, WorkerTaskError } from '../../../src/cm/workers/worker-pool.ts'
import { vectorBytes } from '../../support/vectors.ts'

/** Time limits end when the test says so. */
function handClock(): Clock & { expire(): void } {
  const callbacks = new Set<() => void>()
  return {
    now: () => 0,
    after: (_delayMs, callback) => {
      callbacks.add(callback)
      return () => callbacks.delete(callback)
    },
    expire: () => {
      for (const callback of [...callbacks]) callback()
    },
  }
}

const clock = handClock()
const pool = createWorkerPool({ threads: 1, clock })
afterAll(() => pool.close())

const nowMs = Date.UTC(2025, 0, 20, 9, 1)
const key = parseBlockKey('e6e73df5920e7325f02029372afa2d8ead20d7fa')!
const text = vectorBytes('announcements/alice-server-bypass.txt').toString('utf8')
const alice = { key, text, network: 'server', nowMs } as const

describe('createWorkerPool', () => {
  it('runs tasks one after the other on one thread', async () => {
    const verdicts = await Promise.all([
      pool.run('validateBlock', alice),
      pool.run('validateBlock', { ...alice, poster: 'none' }),
      pool.run('verifyKeyAnnouncement', { text, nowMs, demand: { bits: 0, matches: 0 } }),
    ])
    expect(verdicts[0].reason).toBeUndefined()
    expect(verdicts[1].reason).toBe('user')
    expect(verdicts[2].kind).toBe('ok')
  })

  it('rejects with what a task threw and goes on', async () => {
    const missing = { path: '/nowhere/at/all', key, text: '', rules: { network: 'server', nowMs } } as const
    await expect(pool.run('validateDataFile', missing)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(pool.run('validateBlock', alice)).resolves.toMatchObject({ type: 'key-announcement' })
  })

  it('ends a thread at its time limit and gives the next task a fresh one', async () => {
    const late = pool.run('validateBlock', alice)
    const waiting = pool.run('validateBlock', alice)
    // The task has its thread after one turn of the microtask queue; the thread needs far longer to answer.
    await Promise.resolve()
    await Promise.resolve()
    clock.expire()
    await expect(late).rejects.toMatchObject({ reason: 'time-limit' })
    await expect(waiting).resolves.toMatchObject({ reason: undefined })
  })

  it('ends a task when its signal says so', async () => {
    const controller = new AbortController()
    const task = pool.run('validateBlock', alice, { signal: controller.signal })
    controller.abort(new Error('not needed any more'))
    await expect(task).rejects.toThrow('not needed any more')
    await expect(pool.run('validateBlock', alice)).resolves.toMatchObject({ reason: undefined })
  })

  it('rejects what runs and what waits when it is closed', async () => {
    const closing = createWorkerPool({ threads: 1, clock })
    const tasks = [closing.run('validateBlock', alice), closing.run('validateBlock', alice)]
    const outcomes = Promise.allSettled(tasks)
    await Promise.resolve()
    await closing.close()
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(WorkerTaskError) })
    }
    await expect(closing.run('validateBlock', alice)).rejects.toMatchObject({ reason: 'closed' })
  })
})

import { describe, expect, it } from 'vitest'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import { waitingWork, workReport } from '../../src/store/work-queries.ts'
import type { DueWork, Lease } from '../../src/store/work-rows.ts'
import type { TestClock } from '../support/store.ts'
import { storePerTest } from '../support/store-per-test.ts'

/** Scheduled work: who may run a row, and when (design 3, 4). */

const ROW = 'om1'
let store: Store
let accountId: AccountId
let clock: TestClock
storePerTest((fresh) => {
  ;({ store, accountId, clock } = fresh)
})

const schedule = (stage = 'encode', delayMs = 0) =>
  store.write('scheduleWork', { row: ROW, accountId, stage, delayMs })
const leaseOf = ({ row, attempt }: DueWork, incarnation = 'now'): Lease => ({ row, attempt, incarnation })
const claim = (due: DueWork, incarnation = 'now') =>
  store.write('claimWork', { lease: leaseOf(due, incarnation), stage: due.stage })
const report = () => workReport(store.read, 10)[0]

describe('a row of work', () => {
  it('is claimed by one of many who try, and by nobody after', async () => {
    const due = await schedule()
    const claims = await Promise.all(['a', 'b', 'c', 'd'].map((process) => claim(due, process)))
    expect(claims.filter((claimed) => claimed !== undefined)).toEqual([
      { accountId, stage: 'encode', failures: 0 },
    ])
    expect(await claim(due)).toBeUndefined()
    expect(waitingWork(store.read, 10)).toEqual([])
  })

  it('is claimed for its own attempt and stage only', async () => {
    const due = await schedule()
    expect(await claim({ ...due, attempt: due.attempt + 1 })).toBeUndefined()
    expect(await claim({ ...due, attempt: due.attempt - 1 })).toBeUndefined()
    expect(await claim({ ...due, stage: 'post' })).toBeUndefined()
    expect(await claim({ ...due, row: 'om2' })).toBeUndefined()
    expect(await claim(due)).toBeDefined()
  })

  it('that failed is tried again later, with its failures counted until the stage is through', async () => {
    let due = await schedule()
    for (const failures of [0, 1, 2]) {
      expect(await claim(due)).toMatchObject({ failures })
      const error = `failure ${failures}`
      const next = await store.write('retryWork', { lease: leaseOf(due), error, delayMs: 5000 })
      expect(next).toEqual({
        row: ROW,
        stage: 'encode',
        attempt: due.attempt + 1,
        nextAttemptMs: clock.now() + 5000,
      })
      expect(report()).toMatchObject({ failures: failures + 1, lastError: error, running: false })
      due = next ?? due
      clock.advance(5000)
    }
    const moved = await schedule('post')
    expect(report()).toMatchObject({ stage: 'post', failures: 0, lastError: null })
    expect(moved.attempt).toBe(due.attempt + 1)
  })

  it('that goes back to a stage runs it a second time under another attempt (O02)', async () => {
    const first = await schedule('resolve')
    expect(await claim(first)).toBeDefined()
    const encode = await schedule('encode')
    expect(await claim(encode)).toBeDefined()
    const second = await schedule('resolve')
    expect(second.attempt).toBeGreaterThan(first.attempt)
    expect(await claim(first)).toBeUndefined()
    expect(await claim(second)).toMatchObject({ stage: 'resolve' })
  })

  it('is out of the hands of whoever lost it', async () => {
    const due = await schedule()
    await claim(due)
    await schedule('post')
    expect(await store.write('retryWork', { lease: leaseOf(due), error: 'late', delayMs: 0 })).toBeUndefined()
    expect(await store.write('repeatWork', { lease: leaseOf(due), delayMs: 0 })).toBeUndefined()
    expect(report()).toMatchObject({ stage: 'post', failures: 0, lastError: null })
  })

  it('that is woken while it runs, runs again as soon as it ends; a waiting one at once', async () => {
    const due = await schedule('poll', 60_000)
    const woken = await store.write('wakeWork', { row: ROW })
    expect(woken).toMatchObject({ attempt: due.attempt + 1, nextAttemptMs: clock.now() })
    if (woken === undefined) throw new Error('the row is gone')
    await claim(woken)
    expect(await store.write('wakeWork', { row: ROW })).toBeUndefined()
    const again = await store.write('repeatWork', { lease: leaseOf(woken), delayMs: 60_000 })
    expect(again).toMatchObject({ nextAttemptMs: clock.now() })
    // Woken once, run once.
    if (again === undefined) throw new Error('the row is gone')
    await claim(again)
    const next = await store.write('repeatWork', { lease: leaseOf(again), delayMs: 60_000 })
    expect(next).toMatchObject({ nextAttemptMs: clock.now() + 60_000 })
    expect(await store.write('wakeWork', { row: 'none1' })).toBeUndefined()
  })

  it('of a process that died is free at the next start, and its old job does nothing', async () => {
    const due = await schedule()
    await claim(due, 'dead')
    const living = await store.write('scheduleWork', { row: 'om2', accountId, stage: 'post', delayMs: 0 })
    await claim(living, 'now')
    expect(await store.write('releaseDeadLeases', { incarnation: 'now' })).toBe(1)
    const [freed] = waitingWork(store.read, 10)
    expect(freed).toEqual({
      row: ROW,
      stage: 'encode',
      attempt: due.attempt + 1,
      nextAttemptMs: clock.now(),
    })
    expect(await claim(due)).toBeUndefined()
    expect(
      await store.write('retryWork', { lease: leaseOf(due, 'dead'), error: 'ghost', delayMs: 0 }),
    ).toBeUndefined()
    if (freed === undefined) throw new Error('not freed')
    expect(await claim(freed)).toMatchObject({ failures: 0 })
  })

  it('is made once by whoever makes sure that it is there', async () => {
    const first = await store.write('ensureWork', { row: 'poll1', accountId, stage: 'poll' })
    clock.advance(1000)
    expect(await store.write('ensureWork', { row: 'poll1', accountId, stage: 'poll' })).toEqual(first)
  })

  it('goes with its account', async () => {
    await schedule()
    await store.write('removeAccount', { accountId })
    expect(waitingWork(store.read, 10)).toEqual([])
  })
})

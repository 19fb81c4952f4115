import { describe, expect, it } from 'vitest'
import { inParallel, KeyedLimit } from '../../../src/bridge/in-parallel.ts'

/** Counts how much runs at the same time; every piece takes a few turns. */
function counter() {
  let running = 0
  const seen = { most: 0 }
  const work = async () => {
    running += 1
    seen.most = Math.max(seen.most, running)
    for (let turn = 0; turn < 3; turn += 1) await Promise.resolve()
    running -= 1
  }
  return { seen, work }
}

describe('inParallel', () => {
  it('runs at most so many at a time and keeps the order of the results', async () => {
    const { seen, work } = counter()
    const results = await inParallel([1, 2, 3, 4, 5], 2, async (item) => {
      await work()
      return item * 10
    })
    expect(results).toEqual([10, 20, 30, 40, 50])
    expect(seen.most).toBe(2)
    expect(await inParallel([], 2, async () => 1)).toEqual([])
  })
})

describe('KeyedLimit', () => {
  it('limits what has the same key, and nothing else', async () => {
    const [same, other] = [counter(), counter()]
    const limit = new KeyedLimit(2)
    await Promise.all([
      ...[1, 2, 3, 4].map(() => limit.run('a', same.work)),
      ...[1, 2].map(() => limit.run('b', other.work)),
    ])
    expect([same.seen.most, other.seen.most]).toEqual([2, 2])
  })

  it('gives the place on after a failure', async () => {
    const limit = new KeyedLimit(1)
    const failed = limit.run('a', async () => {
      throw new Error('no')
    })
    const next = limit.run('a', async () => 'ran')
    await expect(failed).rejects.toThrow('no')
    expect(await next).toBe('ran')
    expect(await limit.run('a', async () => 'again')).toBe('again')
  })
})

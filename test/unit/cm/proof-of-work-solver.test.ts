import { afterAll, describe, expect, it } from 'vitest'
import { measureProofOfWork, solveProofOfWork } from '../../../src/cm/proof-of-work.ts'
import { createProofOfWorkSolver } from '../../../src/cm/proof-of-work-solver.ts'
import { vectorJson } from '../../support/vectors.ts'

const single = createProofOfWorkSolver({ threads: 1 })
const pair = createProofOfWorkSolver({ threads: 2 })
afterAll(async () => {
  await Promise.all([single.close(), pair.close()])
})

interface Row {
  readonly data: { readonly hex?: string }
  readonly nbits: number
  readonly nmatches: number
  readonly result: string
}

const rows = vectorJson<{ readonly generate: readonly Row[] }>('pow.json').generate.filter(
  (row) => row.data.hex !== undefined && row.nmatches <= 9,
)

describe('createProofOfWorkSolver', () => {
  it('finds the reference’s nonces on one thread', async () => {
    for (const row of rows) {
      const data = Buffer.from(row.data.hex ?? '', 'hex')
      const proof = await single.solve({ bits: row.nbits, matches: row.nmatches, data })
      expect([row.nbits, row.nmatches, proof]).toEqual([row.nbits, row.nmatches, row.result])
    }
  })

  it('finds good proofs on two threads, in pieces, with three matches', async () => {
    const data = [Buffer.from('one '), Buffer.from('two')]
    const demands = [
      { bits: 0, matches: 2 },
      { bits: 20, matches: 2 },
      { bits: 32, matches: 2 },
      { bits: 12, matches: 5 },
      { bits: 24, matches: 3 },
    ]
    for (const demand of demands) {
      const shown = measureProofOfWork(await pair.solve({ ...demand, data }), data)
      expect(shown.bits).toBeGreaterThanOrEqual(demand.bits)
      expect(shown.matches).toBe(demand.matches)
    }
  })

  it('makes the small proofs of a server’s floor beside a search that never ends', async () => {
    const controller = new AbortController()
    const data = Buffer.from('small')
    const endless = single.solve({ bits: 120, matches: 2, data, signal: controller.signal })
    const proof = await single.solve({ bits: 16, matches: 2, data })
    expect(proof).toBe(solveProofOfWork({ bits: 16, matches: 2 }, data))
    const aborted = AbortSignal.abort(new Error('too late'))
    await expect(single.solve({ bits: 16, matches: 2, data, signal: aborted })).rejects.toThrow('too late')
    controller.abort(new Error('enough'))
    await expect(endless).rejects.toThrow('enough')
  })

  it('still finds a proof when the table is full', async () => {
    const small = createProofOfWorkSolver({ threads: 2, maxTableSlots: 4096 })
    const data = Buffer.from('a small table')
    const proof = await small.solve({ bits: 30, matches: 2, data })
    expect(measureProofOfWork(proof, data).bits).toBeGreaterThanOrEqual(30)
    await small.close()
  })

  it('stops when asked to, reports progress, and works afterwards', async () => {
    const controller = new AbortController()
    const hashes: number[] = []
    const endless = pair.solve({
      bits: 120,
      matches: 2,
      data: Buffer.from('endless'),
      signal: controller.signal,
      onProgress: (made) => {
        hashes.push(made)
        controller.abort(new Error('enough'))
      },
    })
    await expect(endless).rejects.toThrow('enough')
    expect(hashes[0]).toBeGreaterThan(0)
    await expect(pair.solve({ bits: 8, matches: 2, data: Buffer.from('x') })).resolves.toMatch(/^bd,/)
  })

  it('refuses what no verifier takes, and everything once closed', async () => {
    await expect(pair.solve({ bits: 8, matches: 10, data: Buffer.alloc(1) })).rejects.toThrow(RangeError)
    const closed = createProofOfWorkSolver({ threads: 1 })
    await closed.close()
    await expect(closed.solve({ bits: 8, matches: 2, data: Buffer.alloc(1) })).rejects.toThrow('closed')
  })

  it('rejects the search that runs when it is closed', async () => {
    const solver = createProofOfWorkSolver({ threads: 1 })
    const started = Promise.withResolvers<void>()
    const endless = solver.solve({
      bits: 120,
      matches: 2,
      data: Buffer.alloc(1),
      onProgress: () => started.resolve(),
    })
    const rejected = expect(endless).rejects.toThrow('closed')
    await started.promise
    await solver.close()
    await rejected
  })
})

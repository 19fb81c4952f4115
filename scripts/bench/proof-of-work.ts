import { createHash } from 'node:crypto'
import { estimateHashes } from '../../src/cm/proof-of-work.ts'
import { createProofOfWorkSolver, type ProofOfWorkSolver } from '../../src/cm/proof-of-work-solver.ts'
import { type Bench, progress, type Row, timed } from './table.ts'

/** Bits of a proof of two nonces, and searches to take the mean of: one search alone says little. */
const LEVELS = [
  { bits: 24, instances: 100 },
  { bits: 32, instances: 30 },
  { bits: 36, instances: 20 },
  { bits: 40, instances: 4 },
] as const
/** Half a minute a search on one thread: estimated, unless BENCH_LONG is set. */
const LONG_LEVEL = { bits: 48, instances: 2 }
const MATCHES = 2

/** Mean time of a proof, and hashes a second, on one thread: there the last nonce counts the hashes. */
export const proofOfWorkBench: Bench = {
  name: 'proof-of-work',
  async run() {
    const solver = createProofOfWorkSolver({ threads: 1 })
    try {
      // Starts the thread, which is not to be measured.
      await solve(solver, 8, 'warm-up')
      const rows: Row[] = []
      for (const level of LEVELS) rows.push(...(await measure(solver, level)))
      if (process.env.BENCH_LONG !== undefined) rows.push(...(await measure(solver, LONG_LEVEL)))
      else rows.push(estimateLong(rows))
      return rows
    } finally {
      await solver.close()
    }
  },
}

async function measure(
  solver: ProofOfWorkSolver,
  { bits, instances }: { readonly bits: number; readonly instances: number },
): Promise<Row[]> {
  progress(`proof of work, ${bits} bits, ${instances} times`)
  let hashes = 0
  const { elapsedMs } = await timed(async () => {
    for (let instance = 0; instance < instances; instance += 1) {
      hashes += await solve(solver, bits, `instance ${instance}`)
    }
  })
  const expected = estimateHashes(bits, MATCHES)
  return [
    { what: `${bits} bits, mean of ${instances}`, value: elapsedMs / instances, unit: 'ms' },
    {
      what: `${bits} bits, hashes of one`,
      value: hashes / instances,
      unit: 'hashes',
      ratio: { of: hashes / instances / expected, to: 'expected' },
    },
    { what: `${bits} bits, hash rate`, value: hashes / elapsedMs, unit: 'thousand/s' },
  ]
}

/** From the last hash rate; a table that no longer fits the caches makes it a little slower than that. */
function estimateLong(rows: readonly Row[]): Row {
  const thousandPerSecond = rows.at(-1)?.value ?? Number.NaN
  const value = estimateHashes(LONG_LEVEL.bits, MATCHES) / (thousandPerSecond * 1000)
  return { what: `${LONG_LEVEL.bits} bits, estimated (BENCH_LONG=1 measures it)`, value, unit: 's' }
}

/** Hashes made: nonces are tried from 0 up. The data is as long as what is signed in the protocol's blocks. */
async function solve(solver: ProofOfWorkSolver, bits: number, seed: string): Promise<number> {
  const data = createHash('sha256').update(seed).digest()
  const proof = await solver.solve({ bits, matches: MATCHES, data })
  const nonces = proof
    .split(',')
    .slice(1)
    .map((nonce) => Number.parseInt(nonce, 16))
  return Math.max(...nonces) + 1
}

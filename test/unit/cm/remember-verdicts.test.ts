import { describe, expect, it } from 'vitest'
import { rememberVerdicts } from '../../../src/cm/workers/remember-verdicts.ts'
import type { WorkerPool } from '../../../src/cm/workers/worker-pool.ts'

/** Counts what reaches the threads. */
function counting(answer: () => Promise<unknown> = async () => 'verdict') {
  const asked: string[] = []
  const pool: WorkerPool = {
    run: ((name: string) => {
      asked.push(name)
      return answer()
    }) as WorkerPool['run'],
    close: async () => undefined,
  }
  return { asked, pool: rememberVerdicts(pool) }
}

const certificate = (input: string, nowMs: number) => ({ input, nowMs })

describe('rememberVerdicts', () => {
  it('asks once for the same text within a minute, also while the first is still busy', async () => {
    const { asked, pool } = counting()
    await Promise.all([
      pool.run('parseCertificate', certificate('key', 1_000_000)),
      pool.run('parseCertificate', certificate('key', 1_000_000)),
    ])
    await pool.run('parseCertificate', certificate('key', 1_060_000))
    await pool.run('parseCertificate', certificate('key', 940_000))
    expect(asked).toEqual(['parseCertificate'])
  })

  it('asks again for another text, a later time and octets', async () => {
    const { asked, pool } = counting()
    await pool.run('parseCertificate', certificate('key', 1_000_000))
    await pool.run('parseCertificate', certificate('another', 1_000_000))
    await pool.run('parseCertificate', certificate('key', 1_060_001))
    const octets = { input: new Uint8Array([1]), nowMs: 1_000_000 }
    await pool.run('parseCertificate', octets)
    await pool.run('parseCertificate', octets)
    expect(asked).toHaveLength(5)
  })

  it('takes no verdict of one task for another', async () => {
    const { asked, pool } = counting()
    const demand = { bits: 0, matches: 0 }
    await pool.run('verifyKeyAnnouncement', { text: 'x', nowMs: 1, demand })
    await pool.run('verifyKeyAnnouncement', { text: 'x', nowMs: 1, demand: { bits: 8, matches: 2 } })
    await pool.run('reassembleCiphertext', { blocks: [], messageHash: '' as never, outputPath: '' })
    await pool.run('reassembleCiphertext', { blocks: [], messageHash: '' as never, outputPath: '' })
    expect(asked).toHaveLength(4)
  })

  it('forgets a task that failed, and keeps a bounded number', async () => {
    let fails = true
    const { asked, pool } = counting(async () => {
      if (fails) throw new Error('time')
      return 'verdict'
    })
    await expect(pool.run('parseCertificate', certificate('key', 1))).rejects.toThrow('time')
    fails = false
    for (let number = 0; number <= 64; number += 1) {
      await pool.run('parseCertificate', certificate(`key ${number}`, 1))
    }
    await pool.run('parseCertificate', certificate('key 64', 1))
    expect(asked).toHaveLength(66)
    await pool.run('parseCertificate', certificate('key 0', 1))
    expect(asked).toHaveLength(67)
  })
})

import { describe, expect, it } from 'vitest'
import { jobId, parseJobId } from '../../../src/bridge/job-queue.ts'

describe('job ids', () => {
  it('name row, stage and attempt', () => {
    expect(jobId({ row: 'om12', stage: 'encode', attempt: 3 })).toBe('om12-encode-3')
    expect(parseJobId('om12-encode-3')).toEqual({ row: 'om12', stage: 'encode', attempt: 3 })
  })

  it.each([
    { row: '12', stage: 'encode', attempt: 0 },
    { row: 'om:12', stage: 'encode', attempt: 0 },
    { row: 'om-12', stage: 'encode', attempt: 0 },
    { row: 'om12', stage: 'en:code', attempt: 0 },
    { row: 'om12', stage: '', attempt: 0 },
    { row: 'om12', stage: 'encode', attempt: -1 },
    { row: 'om12', stage: 'encode', attempt: 1.5 },
  ])('are refused for %o', (job) => {
    expect(() => jobId(job)).toThrow('not a job')
  })

  it.each(['12', 'om12', 'om12-encode', 'om12:encode:1', 'repeat-x-y-z'])('%s is not one of ours', (id) => {
    expect(parseJobId(id)).toBeUndefined()
  })
})

import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  estimateHashes,
  isProofOfWorkHeader,
  MAX_MATCHES,
  measureProofOfWork,
  parseProofOfWorkDemand,
  solveProofOfWork,
} from '../../../src/cm/proof-of-work.ts'
import { vectorJson } from '../../support/vectors.ts'

type DataReference =
  | { readonly hex: string }
  | { readonly fill: string; readonly length: number }
  | { readonly stream: string; readonly length: number }

function dataOf(reference: DataReference): Buffer {
  if ('hex' in reference) return Buffer.from(reference.hex, 'hex')
  if ('fill' in reference) return Buffer.alloc(reference.length, reference.fill, 'hex')
  const pieces: Buffer[] = []
  for (let counter = 0n; pieces.length * 32 < reference.length; counter++) {
    const number = Buffer.alloc(8)
    number.writeBigUInt64BE(counter)
    pieces.push(createHash('sha256').update(reference.stream).update(number).digest())
  }
  return Buffer.concat(pieces).subarray(0, reference.length)
}

interface Strength {
  readonly bits: number
  readonly count: number
}

const vectors = vectorJson<{
  readonly generate: readonly {
    data: DataReference
    nbits: number
    nmatches: number
    result: string
    verify: Strength
  }[]
  readonly verify: readonly { data: DataReference | null; proofOfWork: string | null; result?: Strength }[]
}>('pow.json')

describe('measureProofOfWork', () => {
  const recorded = vectors.verify.filter((row) => row.data !== null && row.proofOfWork !== null)
  it.each(recorded)('says of $proofOfWork what the reference said', ({ data, proofOfWork, result }) => {
    const measured = measureProofOfWork(proofOfWork as string, dataOf(data as DataReference))
    expect(measured).toEqual({ bits: result?.bits, matches: result?.count })
  })

  it.each(vectors.generate)('reads the reference’s own $nbits bit, $nmatches match proof', (row) => {
    const measured = measureProofOfWork(row.result, dataOf(row.data))
    expect(measured).toEqual({ bits: row.verify.bits, matches: row.verify.count })
  })

  it('takes data in pieces', () => {
    const proof = 'bd,0000005b2,000000c95'
    const pieces = [Buffer.from('hello '), Buffer.from('world')]
    expect(measureProofOfWork(proof, pieces)).toEqual({ bits: 26, matches: 2 })
  })

  it('hashes nothing for more than 16 nonces', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `0${i.toString(16)}`).join(',')
    expect(measureProofOfWork(`bd,${many}`, Buffer.alloc(1))).toEqual({ bits: 0, matches: 5000 })
  })
})

describe('solveProofOfWork', () => {
  const makeable = vectors.generate.filter((row) => row.nmatches <= MAX_MATCHES)
  it.each(makeable)('finds the reference’s nonces for $nbits bits, $nmatches matches', (row) => {
    const proof = solveProofOfWork({ bits: row.nbits, matches: row.nmatches }, dataOf(row.data))
    expect(proof).toBe(row.result)
  })

  it('makes no proof the reference’s verifier would refuse', () => {
    expect(() => solveProofOfWork({ bits: 4, matches: 10 }, Buffer.alloc(1))).toThrow(RangeError)
  })

  it.each([
    [8, 'bd,000000000,00000000b'],
    [12, 'bd,000000004,00000003f'],
    [16, 'bd,0000001ba,00000025d'],
    [20, 'bd,00000025a,000000293'],
    [24, 'bd,0000005b2,000000c95'],
  ])('works the example of CM wire 5.5 at %i bits', (bits, proof) => {
    expect(solveProofOfWork({ bits, matches: 2 }, Buffer.from('hello world'))).toBe(proof)
  })
})

describe('headers', () => {
  it.each([
    ['bd,0,1', true],
    ['BD,0,1', true],
    ['bd,0', false],
    ['bd,0,1 ', false],
    ['bd,,1', false],
    ['bd,g,1', false],
  ])('%s is a proof of work header: %s', (value, expected) => {
    expect(isProofOfWorkHeader(value)).toBe(expected)
  })

  it.each([
    ['bd,24,2', { bits: 24, matches: 2 }],
    ['bd,24,9', { bits: 24, matches: 9 }],
    ['bd,24,10', undefined],
    ['bd,257,2', undefined],
    ['bd,24', undefined],
    ['BD,24,2', undefined],
    ['bd,-1,2', undefined],
  ])('%s as a demand', (value, expected) => {
    expect(parseProofOfWorkDemand(value)).toEqual(expected)
  })

  it.each([
    [8, 20],
    [16, 321],
    [24, 5134],
  ])('estimates %i bits', (bits, expected) => {
    expect(Math.abs(estimateHashes(bits, 2) - expected)).toBeLessThan(1)
  })
})

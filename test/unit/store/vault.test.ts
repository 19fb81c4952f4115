import { describe, expect, it } from 'vitest'
import {
  open,
  openStream,
  type SealContext,
  StreamSealer,
  seal,
  UnknownSealError,
} from '../../../src/store/vault.ts'

const context: SealContext = { accountId: 1, rowId: new Uint8Array(16), purpose: 'message' }
const TEXT = Buffer.from('some octets')

async function readRange(file: Uint8Array, start: number, end: number): Promise<string> {
  const chunks: Uint8Array[] = []
  const read = async function* (from: number, to: number) {
    yield file.subarray(from, to)
  }
  for await (const chunk of openStream(context, read, { start, end })) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('the vault', () => {
  it('opens what it sealed, whole and by range', async () => {
    expect(Buffer.from(open(context, seal(context, TEXT)))).toEqual(TEXT)
    const sealer = new StreamSealer(context)
    const file = Buffer.concat([
      sealer.start(),
      sealer.push(TEXT.subarray(0, 4)),
      sealer.push(TEXT.subarray(4)),
      sealer.finish(),
    ])
    expect(await readRange(file, 0, TEXT.length)).toBe('some octets')
    expect(await readRange(file, 5, 8)).toBe('oct')
  })

  it('never takes a format it does not know for clear text', async () => {
    expect(() => open(context, Buffer.from([9, 1, 2]))).toThrow(UnknownSealError)
    expect(() => open(context, new Uint8Array())).toThrow(UnknownSealError)
    await expect(readRange(Buffer.from([9, 1, 2]), 0, 1)).rejects.toThrow(UnknownSealError)
  })
})

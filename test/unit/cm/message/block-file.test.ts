import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dataBlockKey, type MessageHash } from '../../../../src/cm/ids.ts'
import {
  type BlockFile,
  reassembleCiphertext,
  splitCiphertext,
} from '../../../../src/cm/message/block-file.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cm-blocks-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function block(name: string, content: string, start = 0): Promise<BlockFile> {
  const path = join(folder, name)
  await writeFile(path, Buffer.concat([Buffer.alloc(start, 'h'), Buffer.from(content)]))
  return { key: dataBlockKey(Buffer.from(content)), path, start }
}

const hashOf = (text: string): MessageHash => createHash('sha1').update(text).digest('hex') as MessageHash
const join2 = (blocks: readonly BlockFile[], messageHash: MessageHash) =>
  reassembleCiphertext({ blocks, messageHash, outputPath: join(folder, 'out') })

describe('a ciphertext from its blocks', () => {
  it('is joined in the order of the announcement, headers skipped, a block twice if it stands twice', async () => {
    const a = await block('a', 'AAA', 158)
    const b = await block('b', 'B')
    expect(await join2([b, a, b], hashOf('BAAAB'))).toEqual({ kind: 'ok', bytes: 5 })
    expect(await readFile(join(folder, 'out'), 'utf8')).toBe('BAAAB')
  })

  it('does not exist when a block, the whole or everything is wrong', async () => {
    const a = await block('a', 'AAA')
    const b = await block('b', 'BBB')
    expect(await join2([a, { ...b, path: a.path }], hashOf('AAABBB'))).toEqual({
      kind: 'damaged-block',
      key: b.key,
    })
    expect(await join2([b, a], hashOf('AAABBB'))).toEqual({ kind: 'failed', reason: 'wrong-message-hash' })
    expect(await join2([], hashOf(''))).toEqual({ kind: 'failed', reason: 'no-data-blocks' })
    await expect(stat(join(folder, 'out'))).rejects.toThrow('ENOENT')
  })

  it('whose block file is gone is our fault', async () => {
    await expect(join2([{ ...(await block('a', 'A')), path: 'none' }], hashOf('A'))).rejects.toThrow('ENOENT')
  })
})

describe('a ciphertext cut into blocks', () => {
  it.each([
    [1, 1],
    [65_536, 1],
    [65_537, 2],
    [131_072, 2],
  ])('of %i octets makes %i for Entangled', async (size, count) => {
    const path = join(folder, 'whole')
    const bytes = Buffer.alloc(size, 'x')
    bytes.writeUInt8(0, 0)
    await writeFile(path, bytes)
    const split = await splitCiphertext(path, 'entangled')
    expect(split.blocks).toHaveLength(count)
    expect(split).toMatchObject({ bytes: size, messageHash: dataBlockKey(bytes) })
    expect(split.blocks.map(({ start, end }) => dataBlockKey(bytes.subarray(start, end)))).toEqual(
      split.blocks.map(({ key }) => key),
    )
    expect(split.blocks.at(-1)?.end).toBe(size)
  })
})

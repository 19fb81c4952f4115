import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { MAX_ENTANGLED_PAYLOAD_BYTES, MAX_SERVER_PAYLOAD_BYTES } from '../block-text.ts'
import { type AnnouncementId, announcementId, type BlockKey, type MessageHash } from '../ids.ts'
import { READ_CHUNK_BYTES } from './byte-source.ts'

/** Ciphertext file ⇄ data blocks (CM message 1.1, CM wire 8.5, 8.6). */

/** Octets of one message's ciphertext: the unpacked limit of its ZIP and what OpenPGP adds. */
export const MAX_CIPHERTEXT_BYTES = 2 * 1024 * 1024 * 1024 + 64 * 1024 * 1024

/** Where mail goes decides how it is cut (CM wire 8.5). */
export type BlockTarget = 'server' | 'entangled'

const BLOCK_BYTES: Readonly<Record<BlockTarget, number>> = {
  server: MAX_SERVER_PAYLOAD_BYTES,
  entangled: MAX_ENTANGLED_PAYLOAD_BYTES,
}

/** One data block: octets `[start, end)` of the ciphertext file. */
export interface BlockSlice {
  readonly key: BlockKey
  readonly start: number
  readonly end: number
}

export interface SplitCiphertext {
  readonly blocks: readonly BlockSlice[]
  readonly messageHash: MessageHash
  readonly announcementId: AnnouncementId
  readonly bytes: number
}

/** Cuts a ciphertext file into blocks and names them; reads it once and copies nothing. */
export async function splitCiphertext(path: string, target: BlockTarget): Promise<SplitCiphertext> {
  const whole = createHash('sha1')
  const blocks: BlockSlice[] = []
  const { size } = await statOf(path)
  for (let start = 0; start < size; start += BLOCK_BYTES[target]) {
    const end = Math.min(size, start + BLOCK_BYTES[target])
    const block = createHash('sha1')
    for await (const chunk of createReadStream(path, {
      start,
      end: end - 1,
      highWaterMark: READ_CHUNK_BYTES,
    })) {
      block.update(chunk)
      whole.update(chunk)
    }
    blocks.push({ key: block.digest('hex') as BlockKey, start, end })
  }
  return {
    blocks,
    messageHash: whole.digest('hex') as MessageHash,
    announcementId: announcementId(blocks.map((block) => block.key)),
    bytes: size,
  }
}

async function statOf(path: string): Promise<{ readonly size: number }> {
  const file = await open(path)
  try {
    return await file.stat()
  } finally {
    await file.close()
  }
}

/** A fetched block: its payload lies in a file from `start` (octets) to the end. */
export interface BlockFile {
  readonly key: BlockKey
  readonly path: string
  readonly start?: number
}

export type ReassemblyOutcome =
  | { readonly kind: 'ok'; readonly bytes: number }
  /** Fetch these again: what lies in their files is not what their name says. */
  | { readonly kind: 'damaged-block'; readonly key: BlockKey }
  /** Wrong for ever: every block is right, the announcement is not. */
  | { readonly kind: 'failed'; readonly reason: ReassemblyFault }

export type ReassemblyFault =
  | 'no-data-blocks'
  /** Not all blocks could be had, for whoever cannot ask a server again. */
  | 'missing-block'
  | 'ciphertext-too-large'
  | 'wrong-message-hash'

/**
 * Joins an announcement's blocks into a ciphertext file, each checked against its key and all against the MessageHash
 * (CM message 1.7). The file exists only when all is right. Give the blocks in the announcement's order; the same block
 * may stand there twice.
 */
export async function reassembleCiphertext({
  blocks,
  messageHash,
  outputPath,
}: {
  readonly blocks: readonly BlockFile[]
  readonly messageHash: MessageHash
  readonly outputPath: string
}): Promise<ReassemblyOutcome> {
  if (blocks.length === 0) return { kind: 'failed', reason: 'no-data-blocks' }
  const joined: Joined = { whole: createHash('sha1'), bytes: 0 }
  try {
    await pipeline(joinBlocks(blocks, joined), createWriteStream(outputPath, { mode: 0o600, flush: true }))
  } catch (error) {
    await rm(outputPath, { force: true })
    if (error instanceof DamagedBlockError) return { kind: 'damaged-block', key: error.key }
    if (error instanceof TooLargeError) return { kind: 'failed', reason: 'ciphertext-too-large' }
    throw error
  }
  if (joined.whole.digest('hex') === messageHash) return { kind: 'ok', bytes: joined.bytes }
  await rm(outputPath)
  return { kind: 'failed', reason: 'wrong-message-hash' }
}

interface Joined {
  readonly whole: Hash
  bytes: number
}

class DamagedBlockError extends Error {
  override readonly name = 'DamagedBlockError'
  readonly key: BlockKey

  constructor(key: BlockKey) {
    super(`block ${key} does not match its key`)
    this.key = key
  }
}

class TooLargeError extends Error {
  override readonly name = 'TooLargeError'
}

async function* joinBlocks(blocks: readonly BlockFile[], joined: Joined): AsyncGenerator<Uint8Array> {
  for (const block of blocks) {
    const hash = createHash('sha1')
    const options = { start: block.start ?? 0, highWaterMark: READ_CHUNK_BYTES }
    for await (const chunk of createReadStream(block.path, options) as AsyncIterable<Buffer>) {
      joined.bytes += chunk.length
      if (joined.bytes > MAX_CIPHERTEXT_BYTES) throw new TooLargeError('ciphertext too large')
      hash.update(chunk)
      joined.whole.update(chunk)
      yield chunk
    }
    if (hash.digest('hex') !== block.key) throw new DamagedBlockError(block.key)
  }
}

import { type BlockRules, type BlockVerdict, rejectedBlock } from '../block-verdict.ts'
import type { BlockKey, KeyId } from '../ids.ts'
import type { Poster } from '../judge-signed.ts'
import { validateUnsigned } from '../validate-unsigned.ts'
import { type WorkerPool, WorkerTaskError } from '../workers/worker-pool.ts'
import { MAX_HELD_TEXT_BYTES } from './arriving-text.ts'

/** An upload as data, so that it can be judged in another thread. */
export interface BlockToJudge {
  readonly key: BlockKey
  /** LF lines; for data the header with its `Data` line. */
  readonly text: string
  /** A data block's payload that is held in memory: a small one. */
  readonly payload?: Uint8Array
  /** The file of a data block's payload. */
  readonly payloadPath?: string
  readonly poster: Poster
  /** Armored certificates of the keys the block speaks for, as far as they are known here. */
  readonly publicKeys: Readonly<Record<KeyId, string>>
  readonly rules: BlockRules
}

/** Judges uploads; what takes its time is done off the event loop. */
export type JudgeBlock = (block: BlockToJudge) => Promise<BlockVerdict>

/**
 * A judge with worker threads for proofs over large payloads, long texts and foreign OpenPGP keys. The rest is a few
 * hashes over at most 64 KiB, quicker done than handed over. A block that takes longer than the pool allows, or kills
 * its thread, is `too-large`.
 */
export function judgeWith(pool: WorkerPool): JudgeBlock {
  return async (block) => judgeHere(block) ?? (await judgeInThread(pool, block))
}

function judgeHere({ key, text, payload, payloadPath, rules }: BlockToJudge): BlockVerdict | undefined {
  if (payloadPath !== undefined || text.length > MAX_HELD_TEXT_BYTES) return undefined
  const verdict = validateUnsigned({ ...rules, key, text, payload })
  return typeof verdict === 'string' ? undefined : verdict
}

async function judgeInThread(
  pool: WorkerPool,
  { key, text, payloadPath, poster, publicKeys, rules }: BlockToJudge,
): Promise<BlockVerdict> {
  try {
    return payloadPath === undefined
      ? await pool.run('validateBlock', { ...rules, key, text, poster, publicKeys })
      : await pool.run('validateDataFile', { path: payloadPath, key, text, rules })
  } catch (error) {
    if (!(error instanceof WorkerTaskError) || error.reason === 'closed') throw error
    return rejectedBlock(undefined, key, 'too-large')
  }
}

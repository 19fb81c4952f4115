import { type BlockRules, type BlockVerdict, rejectedBlock } from '../block-verdict.ts'
import type { BlockKey, KeyId } from '../ids.ts'
import type { Poster } from '../judge-signed.ts'
import { type WorkerPool, WorkerTaskError } from '../workers/worker-pool.ts'

/** An upload as data, so that it can be judged in another thread. */
export interface BlockToJudge {
  readonly key: BlockKey
  /** LF lines; for data the header with its `Data` line. */
  readonly text: string
  /** The file of a data block's payload. */
  readonly payloadPath?: string
  readonly poster: Poster
  /** Armored certificates of the keys the block speaks for, as far as they are known here. */
  readonly publicKeys: Readonly<Record<KeyId, string>>
  readonly rules: BlockRules
}

/** Judges uploads off the event loop: proof of work over 8 MiB and foreign OpenPGP keys take their time. */
export type JudgeBlock = (block: BlockToJudge) => Promise<BlockVerdict>

/** A judge on worker threads. A block that takes longer than the pool allows, or kills its thread, is `too-large`. */
export function judgeWith(pool: WorkerPool): JudgeBlock {
  return async ({ key, text, payloadPath, poster, publicKeys, rules }) => {
    try {
      return payloadPath === undefined
        ? await pool.run('validateBlock', { ...rules, key, text, poster, publicKeys })
        : await pool.run('validateDataFile', { path: payloadPath, key, text, rules })
    } catch (error) {
      if (!(error instanceof WorkerTaskError) || error.reason === 'closed') throw error
      return rejectedBlock(undefined, key, 'too-large')
    }
  }
}

import type { BlockVerdict } from './block-verdict.ts'
import type { KeyId } from './ids.ts'
import type { Poster } from './judge-signed.ts'
import { judgeAddressClaims, judgeKeyAnnouncement } from './judge-signed.ts'
import { type UnjudgedBlock, validateUnsigned } from './validate-unsigned.ts'

export interface BlockToValidate extends UnjudgedBlock {
  readonly poster?: Poster
  /** Armored certificate of a key, if known; the default knows none. */
  readonly publicKeyFor?: (keyId: KeyId) => Promise<string | undefined>
}

async function knowsNoKey(): Promise<undefined> {
  return undefined
}

/**
 * Judges one block by the rules of its type, with the safe verdict wherever the reference has a hole (CM wire 2 to 4,
 * 10.2). Never throws for what a peer sent. Signatures are verified here and never again.
 */
export async function validateBlock(block: BlockToValidate): Promise<BlockVerdict> {
  const verdict = validateUnsigned(block)
  if (typeof verdict !== 'string') return verdict
  const { key, text, poster, publicKeyFor = knowsNoKey } = block
  return verdict === 'key-announcement'
    ? judgeKeyAnnouncement(key, text, { rules: block, poster })
    : judgeAddressClaims(key, text, { rules: block, poster, publicKeyFor })
}

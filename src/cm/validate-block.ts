import { unreachable } from '../base/unreachable.ts'
import { blockLines, blockType, isForbiddenLine, MAX_ANNOUNCEMENT_TEXT_BYTES } from './block-text.ts'
import type { BlockRules, BlockVerdict } from './block-verdict.ts'
import { rejectedBlock } from './block-verdict.ts'
import type { BlockKey, KeyId } from './ids.ts'
import type { Poster } from './judge-signed.ts'
import { judgeAddressClaims, judgeKeyAnnouncement } from './judge-signed.ts'
import { judgeAcknowledgment, judgeDataBlock, judgeMessageAnnouncements } from './judge-unsigned.ts'
import type { BlockType } from './server/port.ts'

export interface BlockToValidate extends BlockRules {
  /** The key it is stored or asked for under. */
  readonly key: BlockKey
  /** Refused with `type` when the block is of another one. */
  readonly type?: BlockType | undefined
  /** Without outbox lines; for data the header up to and with its `Data` line. CR or not. */
  readonly text: string
  /** Data blocks only. */
  readonly payload?: Uint8Array | undefined
  readonly poster?: Poster
  /** Armored certificate of a key, if known; the default knows none. */
  readonly publicKeyFor?: (keyId: KeyId) => Promise<string | undefined>
}

async function knowsNoKey(): Promise<undefined> {
  return undefined
}

/**
 * Judges one block by the rules of its type, with the safe verdict wherever the reference has a hole (CM wire 2 to 4,
 * 10.2). Never throws for what a peer sent. Signatures are verified here and never again: `mergeBlocks` is synchronous.
 */
export async function validateBlock(block: BlockToValidate): Promise<BlockVerdict> {
  const { key, text } = block
  if (text.length > MAX_ANNOUNCEMENT_TEXT_BYTES) return rejectedBlock(undefined, key, 'too-large')
  const type = blockType(text)
  if (type === undefined || (block.type !== undefined && block.type !== type)) {
    return rejectedBlock(type, key, 'type')
  }
  if (blockLines(text).some(isForbiddenLine)) return rejectedBlock(type, key, 'forbidden-header')
  const poster = block.poster
  const publicKeyFor = block.publicKeyFor ?? knowsNoKey
  switch (type) {
    case 'data':
      return judgeDataBlock(key, { text, payload: block.payload ?? new Uint8Array() }, block)
    case 'message-announcement':
      return judgeMessageAnnouncements(key, text, block)
    case 'acknowledgment':
      return judgeAcknowledgment(key, text, block)
    case 'key-announcement':
      return judgeKeyAnnouncement(key, text, { rules: block, poster })
    case 'address-claim':
      return judgeAddressClaims(key, text, { rules: block, poster, publicKeyFor })
    default:
      return unreachable(type)
  }
}

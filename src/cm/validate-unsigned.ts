import { blockLines, isForbiddenLine, MAX_ANNOUNCEMENT_TEXT_BYTES, typeOfLines } from './block-text.ts'
import { type BlockRules, type BlockVerdict, rejectedBlock } from './block-verdict.ts'
import type { BlockKey } from './ids.ts'
import { judgeAcknowledgment, judgeDataBlock, judgeMessageAnnouncements } from './judge-unsigned.ts'
import type { BlockType } from './server/port.ts'

/** A block of any type, with what its verdict does not need a key for. */
export interface UnjudgedBlock extends BlockRules {
  /** The key it is stored or asked for under. */
  readonly key: BlockKey
  /** Refused with `type` when the block is of another one. */
  readonly type?: BlockType | undefined
  /** Without outbox lines; for data the header up to and with its `Data` line. CR or not. */
  readonly text: string
  /** Data blocks only. */
  readonly payload?: Uint8Array | undefined
}

/**
 * The verdict on whatever can be judged without a signature: hashes only, synchronous (CM wire 2.3 to 2.5). For the
 * signed types, unless they fail already, that type: `validateBlock` goes on with them.
 */
export function validateUnsigned(block: UnjudgedBlock): BlockVerdict | 'key-announcement' | 'address-claim' {
  const { key, text } = block
  if (text.length > MAX_ANNOUNCEMENT_TEXT_BYTES) return rejectedBlock(undefined, key, 'too-large')
  const lines = blockLines(text)
  const type = typeOfLines(lines)
  if (type === undefined || (block.type !== undefined && block.type !== type)) {
    return rejectedBlock(type, key, 'type')
  }
  if (lines.some(isForbiddenLine)) return rejectedBlock(type, key, 'forbidden-header')
  switch (type) {
    case 'data':
      return judgeDataBlock(key, { text, payload: block.payload ?? new Uint8Array() }, block)
    case 'message-announcement':
      return judgeMessageAnnouncements(key, text, block)
    case 'acknowledgment':
      return judgeAcknowledgment(key, text, block)
    default:
      return type
  }
}

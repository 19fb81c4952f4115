import { createHash } from 'node:crypto'
import { blockType, decodeBlockText } from '../../../src/cm/block-text.ts'
import type { BlockRules } from '../../../src/cm/block-verdict.ts'
import { splitDataBlock } from '../../../src/cm/data-block.ts'
import { addressHash, mailboxHash, parseBlockKey, parseKeyId } from '../../../src/cm/ids.ts'
import { mergeBlocks } from '../../../src/cm/merge.ts'
import { validateBlock } from '../../../src/cm/validate-block.ts'
import { readTranscript } from '../../support/cm-transcript.ts'
import { type FuzzTarget, mustHold, vectorSeeds } from './fuzz-target.ts'

/** The vectors' blocks are of this day. */
const RULES: BlockRules = { network: 'server', nowMs: Date.parse('2025-01-20T12:00:00Z') }
/** The recorded ones are younger. */
const LATER: BlockRules = { network: 'server', nowMs: Date.parse('2026-11-25T12:00:00Z') }

/** The key a block says it belongs under, so that more than the hash is tried. */
function keyOf(text: string, payload: Uint8Array) {
  const value = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(text)?.[1] ?? ''
  switch (blockType(text)) {
    case 'data':
      return parseBlockKey(createHash('sha1').update(payload).digest('hex'))
    case 'message-announcement': {
      const recipient = parseKeyId(value('Recipient'))
      return recipient && mailboxHash(value('Mailbox'), recipient)
    }
    case 'address-claim':
      return addressHash(value('Address'))
    case 'acknowledgment':
      return parseBlockKey(
        createHash('sha1')
          .update(Buffer.from(value('Hash'), 'hex'))
          .digest('hex'),
      )
    default:
      return parseBlockKey('8cc800cd4e7db6ac52ef2cfbcedb5e7b5f1809d3')
  }
}

/** Blocks that recorded clients sent: announcements with and without tokens, several records, data. */
function uploads(): Uint8Array[] {
  const dialogues = ['client/09-send-001', 'client/15-send-using-token-001', 'server/get-logged-in']
  return dialogues
    .flatMap((name) => readTranscript(`${name}.txt`))
    .filter(({ command }) => command.startsWith('STORE SERVER'))
    .map(({ sent }) => {
      const body = sent.subarray(sent.indexOf('\r\n') + 2).toString('latin1')
      return Buffer.from(body.replace(/EndBlock\r\n$/, '').replaceAll('\r\n', '\n'), 'latin1')
    })
}

/** Any block of any type: judged without an exception; a merge is idempotent and its result is accepted again. */
export const cmBlocks: FuzzTarget = {
  name: 'cm-blocks',
  seeds: () => [
    ...vectorSeeds('announcements', '.txt'),
    ...vectorSeeds('claims', '.txt'),
    ...vectorSeeds('acks', '.txt'),
    ...uploads(),
  ],
  async run(input) {
    const split = splitDataBlock(input)
    const text = split?.headerText ?? decodeBlockText(input)
    if (text === undefined) return
    const payload = split?.payload ?? new Uint8Array()
    const key = keyOf(text, payload) ?? parseBlockKey('0'.repeat(40))
    if (key === undefined) return
    const rules = text.includes('2026-') ? LATER : RULES
    const verdict = await validateBlock({ ...rules, key, text, payload })
    const first = mergeBlocks(undefined, verdict, rules)
    if (first.kind !== 'stored') return
    const again = mergeBlocks(first.text, verdict, rules)
    mustHold(again.kind !== 'stored', 'the same block merged twice changes nothing')
    const reread = await validateBlock({ ...rules, key, text: first.text, payload })
    mustHold(reread.reason === undefined, `what was stored is valid (${reread.reason})`)
    mustHold(!/\r|^EndBlock$/im.test(first.text), 'no line of a stored block ends the reply it is sent in')
  },
}

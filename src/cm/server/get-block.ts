import { encodeBlockLines, encodeLine } from '../framer.ts'
import type { BlockKey } from '../ids.ts'
import { mailboxOwner } from '../message-announcement.ts'
import { filterSince } from '../since.ts'
import type { SessionUser } from './context.ts'
import type { BlockType, CmBlocks, StoredBlock } from './port.ts'

export interface GetRequest {
  readonly key: BlockKey
  readonly user: SessionUser | undefined
  /** CM date text, as sent. */
  readonly since: string | undefined
}

/** Types that only a logged-in user reads (CM wire 2.2, 7.5). */
const MAIL_TYPES: ReadonlySet<BlockType> = new Set(['message-announcement', 'acknowledgment', 'data'])

/** Answers GET SERVER: the block, or NOT FOUND, which is also what a user without the right to read hears (CM wire 7.5). */
export async function answerGet(
  blocks: CmBlocks,
  request: GetRequest,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const block = await blocks.getAny(request.key)
  const text = block !== undefined && mayRead(block, request.user) ? textFor(block, request.since) : ''
  if (block === undefined || text === '') {
    await write(encodeLine('NOT FOUND'))
    return
  }
  if (block.type !== 'data') {
    await write(Buffer.concat([encodeBlockLines(text), encodeLine('EndBlock')]))
    return
  }
  await write(encodeBlockLines(text))
  let sent = 0
  for await (const chunk of blocks.readPayload(request.key)) {
    sent += chunk.length
    await write(chunk)
  }
  // The header has promised n octets; with another number the client would take the next reply for payload.
  if (sent !== block.payloadBytes) throw new Error(`payload of ${request.key} has ${sent} octets on the disk`)
}

/**
 * Mail types need a login. A mailbox is read by its owner alone, where the reference shows everybody with an account
 * who gets mail and how much (CM wire 7.5, S12). Payloads and acknowledgments are for any login: whoever knows their
 * keys got them from somebody who may know.
 */
function mayRead(block: StoredBlock, user: SessionUser | undefined): boolean {
  if (!MAIL_TYPES.has(block.type)) return true
  if (user === undefined) return false
  if (block.type !== 'message-announcement') return true
  return user.keyId !== undefined && mailboxOwner(block.text) === user.keyId
}

function textFor(block: StoredBlock, since: string | undefined): string {
  return since === undefined || block.type !== 'message-announcement'
    ? block.text
    : filterSince(block.text, since.toUpperCase())
}

import { encodeBlockLines, encodeLine } from '../framer.ts'
import type { BlockKey } from '../ids.ts'
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
 * Mail types need a login, any login: the reference compares no user here, and a client may read an old mailbox of
 * another key (CM wire 7.5). What is behind is encrypted; who gets an account can see when somebody gets mail (S12).
 */
function mayRead(block: StoredBlock, user: SessionUser | undefined): boolean {
  return user !== undefined || !MAIL_TYPES.has(block.type)
}

function textFor(block: StoredBlock, since: string | undefined): string {
  return since === undefined || block.type !== 'message-announcement'
    ? block.text
    : filterSince(block.text, since.toUpperCase())
}

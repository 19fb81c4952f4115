import { encodeBlockLines, encodeLine } from '../framer.ts'
import type { BlockKey } from '../ids.ts'
import { mailboxOwner } from '../message-announcement.ts'
import { parseUtcTime } from '../utc-time.ts'
import type { CmServerContext, SessionUser } from './context.ts'
import { type BlockType, type FoundBlock, RECORD_SEPARATORS } from './port.ts'

/** A GET SERVER and who gave it. */
export interface GetRequest {
  readonly key: BlockKey
  readonly user: SessionUser | undefined
  /** CM date text, as sent. */
  readonly since: string | undefined
}

type Write = (bytes: Uint8Array) => Promise<void>

/** Octets of text gathered for one write: a full mailbox is never held, a small one goes out at once. */
const WRITE_BYTES = 32 * 1024

/** Types that only a logged-in user reads (CM wire 2.2, 7.5). */
const MAIL_TYPES: ReadonlySet<BlockType> = new Set(['message-announcement', 'acknowledgment', 'data'])

/** Answers GET SERVER: the block, or NOT FOUND, which is also what a user without the right to read hears (CM wire 7.5). */
export async function answerGet(
  { blocks, log }: Pick<CmServerContext, 'blocks' | 'log'>,
  request: GetRequest,
  write: Write,
): Promise<void> {
  // A date that does not exist filters nothing: a client gets more than it asked for, never less.
  const sinceMs = request.since === undefined ? undefined : parseUtcTime(request.since)
  const block = await blocks.find(request.key, {
    sinceMs,
    mayRead: (type, anyRecord) => mayRead(type, anyRecord, request.user),
  })
  const isAnswered =
    block !== undefined &&
    (block.type === 'data' ? await writeData(block, { request, log }, write) : await writeText(block, write))
  if (!isAnswered) await write(encodeLine('NOT FOUND'))
}

/** False when nothing is left of the block, and nothing was written. */
async function writeText(block: FoundBlock, write: Write): Promise<boolean> {
  const separator = Buffer.from(RECORD_SEPARATORS[block.type].replace('\n', '\r\n'))
  let pieces: Uint8Array[] = []
  let bytes = 0
  let isFirst = true
  for await (const record of block.records()) {
    if (bytes > WRITE_BYTES) {
      await write(Buffer.concat(pieces))
      pieces = []
      bytes = 0
    }
    const lines = encodeBlockLines(record)
    pieces.push(...(isFirst ? [lines] : [separator, lines]))
    bytes += lines.length
    isFirst = false
  }
  if (!isFirst) await write(Buffer.concat([...pieces, encodeLine('EndBlock')]))
  return !isFirst
}

/** As `writeText`; also false when the payload's file is gone: one lost block must not keep a client from the others. */
async function writeData(
  block: FoundBlock,
  { request: { key }, log }: { readonly request: GetRequest; readonly log: CmServerContext['log'] },
  write: Write,
): Promise<boolean> {
  for await (const header of block.records()) {
    let head: Uint8Array = encodeBlockLines(header)
    let sent = 0
    try {
      for await (const chunk of block.payload()) {
        sent += chunk.length
        await write(head.length === 0 ? chunk : Buffer.concat([head, chunk]))
        head = Buffer.alloc(0)
      }
    } catch (cause) {
      if (sent > 0) throw cause
      log.error({ cause }, 'a payload cannot be read')
    }
    // Pruned meanwhile, or lost.
    if (sent === 0) return false
    // The header has promised n octets; with another number the client would take the next reply for payload.
    if (sent !== block.payloadBytes) throw new Error(`payload of ${key} has ${sent} octets on the disk`)
    return true
  }
  return false
}

/**
 * Mail types need a login. A mailbox is read by its owner alone, where the reference shows everybody with an account
 * who gets mail and how much (CM wire 7.5, S12). Payloads and acknowledgments are for any login: whoever knows their
 * keys got them from somebody who may know.
 */
function mayRead(type: BlockType, anyRecord: () => string, user: SessionUser | undefined): boolean {
  if (!MAIL_TYPES.has(type)) return true
  if (user === undefined) return false
  if (type !== 'message-announcement') return true
  // Any record tells: they lie under the hash of their recipient.
  return user.keyId !== undefined && mailboxOwner(anyRecord()) === user.keyId
}

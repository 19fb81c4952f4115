import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { blockType, MAX_HEADER_TEXT_BYTES, MAX_SERVER_PAYLOAD_BYTES } from '../block-text.ts'
import type { CmFrame } from '../framer.ts'
import type { BlockKey } from '../ids.ts'
import { CmProtocolError } from './cm-protocol-error.ts'
import { type CmDialogue, payloadTimeMs } from './dialogue.ts'

/** Octets of a text reply: a mailbox with thousands of waiting announcements fits, an endless one does not. */
const MAX_REPLY_BYTES = 8 * 1024 * 1024
/** Lines of a text reply, for the same reason: a line costs memory beyond its octets. */
const MAX_REPLY_LINES = 250_000

/** `FAILED` or `INVALID COMMAND`: the server does not do it, another one may. */
export interface Refused {
  readonly kind: 'refused'
  readonly reply: 'FAILED' | 'INVALID COMMAND'
}

export type GetOutcome =
  /** LF lines, each ended by LF, CR deleted; octets that are no UTF-8 became U+FFFD, so signatures over them fail. */
  | { readonly kind: 'block'; readonly text: string }
  /** Not there, or not for a session without login. */
  | { readonly kind: 'not-found' }
  /** A lone EndBlock: the server is writing it right now, ask again (CM wire 10.1). */
  | { readonly kind: 'not-yet' }
  | Refused

export type DataOutcome =
  | {
      readonly kind: 'data'
      /** Header lines with LF, `Data: n` last. */
      readonly headerText: string
      readonly payloadBytes: number
      /** The payload, when no file was made. */
      readonly payload?: Uint8Array
    }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'not-yet' }
  | Refused

/** `FAILED` and `INVALID COMMAND` in any case; undefined for every other line. */
export function refusalOf(line: string): Refused | undefined {
  const word = line.toUpperCase()
  return word === 'FAILED' || word === 'INVALID COMMAND' ? { kind: 'refused', reply: word } : undefined
}

/** Reads the reply to a GET that should be a text block (CM wire 7.5). */
export function readTextReply(dialogue: CmDialogue): Promise<GetOutcome> {
  return dialogue.within(dialogue.timeouts.wholeReplyMs, async (): Promise<GetOutcome> => {
    const head = await readHead(dialogue, { maxBytes: MAX_REPLY_BYTES, maxLines: MAX_REPLY_LINES })
    if (head.kind !== 'lines') return head
    if (head.end.kind === 'data-line') throw new CmProtocolError('wrong-type')
    return { kind: 'block', text: `${decodeLines(head.lines)}\n` }
  })
}

/** Where a payload goes. */
export interface DataSink {
  /** Payloads of so many octets at most come back in the outcome, and no file is made. */
  readonly heldBytes: number
  /** Asked for a path before a file is made. */
  readonly file: () => Promise<string>
}

/** Reads the reply to a GET of a data block: streams the payload to its sink and checks length and hash. */
export async function readDataReply(
  dialogue: CmDialogue,
  key: BlockKey,
  sink: DataSink,
): Promise<DataOutcome> {
  const head = await dialogue.within(dialogue.timeouts.wholeReplyMs, () =>
    readHead(dialogue, { maxBytes: MAX_HEADER_TEXT_BYTES, maxLines: MAX_REPLY_LINES }),
  )
  if (head.kind !== 'lines') return head
  const { lines, end } = head
  const headerText = `${decodeLines(lines)}\n`
  if (end.kind !== 'data-line' || blockType(headerText) !== 'data') throw new CmProtocolError('wrong-type')
  if (end.payloadBytes > MAX_SERVER_PAYLOAD_BYTES) throw new CmProtocolError('reply-too-large')
  const wholeMs = dialogue.timeouts.replyMs + payloadTimeMs(end.payloadBytes)
  const { payloadBytes } = end
  const read = async (write: (bytes: Uint8Array) => Promise<void>): Promise<void> => {
    const sha1 = await dialogue.within(wholeMs, () => readPayload(dialogue, write))
    if (sha1 !== key) throw new CmProtocolError('wrong-hash')
  }
  const outcome = { kind: 'data', headerText: `${headerText}Data: ${payloadBytes}\n`, payloadBytes } as const
  if (payloadBytes <= sink.heldBytes) {
    const held: Uint8Array[] = []
    await read(async (bytes) => void held.push(Uint8Array.from(bytes)))
    return { ...outcome, payload: new Uint8Array(Buffer.concat(held)) }
  }
  await spool(await sink.file(), (file) => read((bytes) => file.writeFile(bytes)))
  return outcome
}

type Head =
  | { kind: 'lines'; lines: string[]; end: Extract<CmFrame, { kind: 'end-block' | 'data-line' }> }
  | { kind: 'not-found' }
  | { kind: 'not-yet' }
  | Refused

interface HeadLimits {
  readonly maxBytes: number
  readonly maxLines: number
}

/** Lines up to EndBlock or `Data: n`; the first line decides whether there is a block at all. */
async function readHead(dialogue: CmDialogue, limits: HeadLimits): Promise<Head> {
  dialogue.startBlock()
  const lines: string[] = []
  let remainingBytes = limits.maxBytes
  for (;;) {
    const frame = await dialogue.frame()
    if (frame.kind !== 'line') return endOfHead(lines, frame)
    const single = lines.length === 0 ? singleLine(frame.line) : undefined
    if (single !== undefined) {
      dialogue.leaveBlock()
      return single
    }
    // A lone LF would become a line of its own; a lone CR is deleted like every CR (CM wire 1.5).
    if (frame.line.includes('\n')) throw new CmProtocolError('malformed-reply')
    remainingBytes -= frame.line.length
    lines.push(frame.line)
    if (remainingBytes < 0 || lines.length > limits.maxLines) throw new CmProtocolError('reply-too-large')
  }
}

function endOfHead(lines: string[], end: CmFrame): Head {
  if (end.kind !== 'end-block' && end.kind !== 'data-line') throw new CmProtocolError('malformed-reply')
  return lines.length === 0 && end.kind === 'end-block' ? { kind: 'not-yet' } : { kind: 'lines', lines, end }
}

function singleLine(line: string): Exclude<Head, { kind: 'lines' }> | undefined {
  return line.toUpperCase() === 'NOT FOUND' ? { kind: 'not-found' } : refusalOf(line)
}

/** Writes the payload as it comes; returns its SHA-1 in hex. */
async function readPayload(
  dialogue: CmDialogue,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<string> {
  const hash = createHash('sha1')
  for (;;) {
    const frame = await dialogue.frame()
    if (frame.kind === 'payload-end') return hash.digest('hex')
    if (frame.kind !== 'payload') throw new CmProtocolError('malformed-reply')
    hash.update(frame.bytes)
    await write(frame.bytes)
  }
}

/** A new file that is durable when `fill` succeeds and gone when it does not. */
async function spool(path: string, fill: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await fill(file)
    await file.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

function decodeLines(lines: readonly string[]): string {
  return Buffer.from(lines.join('\n').replaceAll('\r', ''), 'latin1').toString('utf8')
}

import { createHash, type Hash } from 'node:crypto'
import {
  decodeBlockText,
  isForbiddenLine,
  MAX_ANNOUNCEMENT_TEXT_BYTES,
  MAX_HEADER_TEXT_BYTES,
  MAX_SERVER_PAYLOAD_BYTES,
} from '../block-text.ts'
import type { CmFrame } from '../framer.ts'
import { SERVER_LIMITS } from './limits.ts'
import type { PayloadSink } from './port.ts'

/** What came in behind a STORE command. */
export type ReceivedBlock =
  /** No line at all: the reference does not answer (CM wire 7.4). */
  | { readonly kind: 'empty' }
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'data'
      /** Header lines with LF, `Data: n` last. */
      readonly headerText: string
      readonly sink: PayloadSink
      /** SHA-1 of the payload in hex: the key it can be stored under. */
      readonly sha1: string
    }
  /** A line that is forbidden, or holds a lone CR or LF: answered FAILED (CM wire 2.8, S5). */
  | { readonly kind: 'forbidden' }
  /** Too large, no text, or declined by `acceptData`: dropped in silence like every invalid block (CM wire 7.6). */
  | { readonly kind: 'dropped' }
  /** Our own fault (a full disk): answered FAILED, so that the client tries elsewhere. */
  | { readonly kind: 'unstorable'; readonly error: unknown }
  /** The connection is gone or has to go: nothing can be answered. */
  | { readonly kind: 'lost' }

export interface BlockSource {
  /** The next frame; undefined when the connection is gone. */
  frame(): Promise<CmFrame | undefined>
  /** A place for the payload of a header that looks storable; undefined to read it to its end and drop it. */
  acceptData(headerText: string): Promise<PayloadSink | undefined>
}

/** Reads one block to its end, whatever becomes of it, so that the next command is found (CM wire 7.4). */
export async function receiveBlock(source: BlockSource): Promise<ReceivedBlock> {
  const head = await receiveHead(source)
  if (head === undefined) return { kind: 'lost' }
  if (head.end.kind === 'end-block') return textBlock(head)
  return receivePayload(source, head, head.end)
}

interface Head {
  readonly lines: readonly string[]
  readonly isForbidden: boolean
  readonly bytes: number
  readonly end: Extract<CmFrame, { kind: 'end-block' | 'data-line' }>
}

async function receiveHead(source: BlockSource): Promise<Head | undefined> {
  const lines: string[] = []
  let isForbidden = false
  let bytes = 0
  for (;;) {
    const frame = await source.frame()
    if (frame?.kind === 'end-block' || frame?.kind === 'data-line')
      return { lines, isForbidden, bytes, end: frame }
    if (frame?.kind !== 'line') return undefined
    isForbidden ||= frame.bare || isForbiddenLine(frame.line)
    bytes += frame.line.length + 1
    if (bytes > SERVER_LIMITS.discardedBytes) return undefined
    // Over the limit the lines are only counted: the block is dropped, its end must still be found.
    if (bytes <= MAX_ANNOUNCEMENT_TEXT_BYTES) lines.push(frame.line)
  }
}

function textBlock({ lines, isForbidden, bytes }: Head): ReceivedBlock {
  if (bytes === 0) return { kind: 'empty' }
  if (isForbidden) return { kind: 'forbidden' }
  const text = bytes > MAX_ANNOUNCEMENT_TEXT_BYTES ? undefined : decodeLines(lines)
  return text === undefined ? { kind: 'dropped' } : { kind: 'text', text }
}

async function receivePayload(
  source: BlockSource,
  head: Head,
  { line, payloadBytes }: { line: string; payloadBytes: number },
): Promise<ReceivedBlock> {
  if (payloadBytes > SERVER_LIMITS.discardedBytes) return { kind: 'lost' }
  const headerText = head.bytes > MAX_HEADER_TEXT_BYTES ? undefined : decodeLines([...head.lines, line])
  const isStorable = !head.isForbidden && headerText !== undefined && payloadBytes <= MAX_SERVER_PAYLOAD_BYTES
  const payload = new ArrivingPayload()
  if (isStorable) await payload.open(() => source.acceptData(headerText))
  for (;;) {
    const frame = await source.frame()
    if (frame?.kind === 'payload-end') break
    if (frame?.kind !== 'payload') {
      await payload.discard()
      return { kind: 'lost' }
    }
    await payload.write(frame.bytes)
  }
  if (head.isForbidden) return { kind: 'forbidden' }
  return headerText === undefined ? { kind: 'dropped' } : payload.finish(headerText)
}

/** A payload on its way to the disk; a fault of ours ends the writing, not the reading. */
class ArrivingPayload {
  readonly #sha1: Hash = createHash('sha1')
  #sink: PayloadSink | undefined
  #fault: { readonly error: unknown } | undefined

  async open(accept: () => Promise<PayloadSink | undefined>): Promise<void> {
    await this.#attempt(async () => {
      this.#sink = await accept()
    })
  }

  async write(bytes: Uint8Array): Promise<void> {
    const sink = this.#sink
    if (sink === undefined || this.#fault !== undefined) return
    this.#sha1.update(bytes)
    await this.#attempt(() => sink.write(bytes))
  }

  async discard(): Promise<void> {
    await this.#sink?.discard()
  }

  async finish(headerText: string): Promise<ReceivedBlock> {
    if (this.#fault !== undefined) {
      await this.discard()
      return { kind: 'unstorable', error: this.#fault.error }
    }
    if (this.#sink === undefined) return { kind: 'dropped' }
    return { kind: 'data', headerText, sink: this.#sink, sha1: this.#sha1.digest('hex') }
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#fault = { error }
    }
  }
}

function decodeLines(lines: readonly string[]): string | undefined {
  return decodeBlockText(Buffer.from(`${lines.join('\n')}\n`, 'latin1'))
}

import { createHash, type Hash, hash } from 'node:crypto'
import {
  decodeBlockText,
  isForbiddenLine,
  MAX_ANNOUNCEMENT_TEXT_BYTES,
  MAX_HEADER_TEXT_BYTES,
  MAX_SERVER_PAYLOAD_BYTES,
} from '../block-text.ts'
import type { CmFrame } from '../framer.ts'
import { ArrivingText } from './arriving-text.ts'
import { SERVER_LIMITS } from './limits.ts'
import type { PayloadSink } from './port.ts'

/** What came in behind a STORE command. */
export type ReceivedBlock =
  /** No line at all: the reference does not answer (CM wire 7.4). */
  | { readonly kind: 'empty' }
  | { readonly kind: 'text'; readonly text: string }
  /** A text too large to be held by every connection at once: it lies in a file, lines with LF (CM wire S9). */
  | { readonly kind: 'large-text'; readonly sink: PayloadSink }
  | {
      readonly kind: 'data'
      /** Header lines with LF, `Data: n` last. */
      readonly headerText: string
      readonly sink: PayloadSink
      /** SHA-1 of the payload in hex: the key it can be stored under. */
      readonly sha1: string
    }
  /** A data block whose payload was taken in memory, in a buffer of its own. */
  | {
      readonly kind: 'small-data'
      readonly headerText: string
      readonly payload: Uint8Array
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

/** Where a payload goes: a file, memory (small ones only), or nowhere. */
export type PayloadPlace = PayloadSink | 'memory' | undefined

/** What reading one block needs of its connection and its command. */
export interface BlockSource {
  /** A frame that is there already, so that what came in one piece is read in one go. */
  ready(): CmFrame | undefined
  /** The next frame; undefined when the connection is gone. */
  frame(): Promise<CmFrame | undefined>
  /** A place for the payload of a header that looks storable; undefined to read it to its end and drop it. */
  acceptData(headerText: string, payloadBytes: number): Promise<PayloadPlace>
  /** A file for a text that has become too large to be held; undefined to read it to its end and drop it. */
  acceptLargeText(): Promise<PayloadSink | undefined>
}

/** Reads one block to its end, whatever becomes of it, so that the next command is found (CM wire 7.4). */
export async function receiveBlock(source: BlockSource): Promise<ReceivedBlock> {
  const text = new ArrivingText(() => source.acceptLargeText())
  const head = await receiveHead(source, text)
  if (head === undefined) {
    await text.discard()
    return { kind: 'lost' }
  }
  if (head.end.kind === 'end-block') return textBlock(head, text)
  const headerLines = text.held
  await text.discard()
  return receivePayload(source, { ...head, headerLines }, head.end)
}

interface Head {
  readonly isForbidden: boolean
  readonly bytes: number
  readonly end: Extract<CmFrame, { kind: 'end-block' | 'data-line' }>
}

async function receiveHead(source: BlockSource, text: ArrivingText): Promise<Head | undefined> {
  let isForbidden = false
  let bytes = 0
  for (;;) {
    const frame = source.ready() ?? (await source.frame())
    if (frame?.kind === 'end-block' || frame?.kind === 'data-line') return { isForbidden, bytes, end: frame }
    if (frame?.kind !== 'line') return undefined
    isForbidden ||= frame.bare || isForbiddenLine(frame.line)
    bytes += frame.line.length + 1
    if (bytes > SERVER_LIMITS.discardedBytes) return undefined
    // Over the limit the lines are only counted: the block is dropped, its end must still be found.
    if (isForbidden || bytes > MAX_ANNOUNCEMENT_TEXT_BYTES) await text.discard()
    else if (text.add(frame.line)) await text.flush()
  }
}

async function textBlock({ bytes, isForbidden }: Head, text: ArrivingText): Promise<ReceivedBlock> {
  if (bytes === 0) return { kind: 'empty' }
  if (isForbidden) return { kind: 'forbidden' }
  return text.finish()
}

async function receivePayload(
  source: BlockSource,
  head: Head & { readonly headerLines: readonly string[] | undefined },
  { line, payloadBytes }: { line: string; payloadBytes: number },
): Promise<ReceivedBlock> {
  if (payloadBytes > SERVER_LIMITS.discardedBytes) return { kind: 'lost' }
  const { headerLines, isForbidden } = head
  const isHeader = headerLines !== undefined && head.bytes <= MAX_HEADER_TEXT_BYTES
  const headerText = isHeader ? decodeLines([...headerLines, line]) : undefined
  const isStorable = !isForbidden && headerText !== undefined && payloadBytes <= MAX_SERVER_PAYLOAD_BYTES
  const payload = new ArrivingPayload(payloadBytes)
  if (isStorable) await payload.open(() => source.acceptData(headerText, payloadBytes))
  for (;;) {
    const frame = source.ready() ?? (await source.frame())
    if (frame?.kind === 'payload-end') break
    if (frame?.kind !== 'payload') {
      await payload.discard()
      return { kind: 'lost' }
    }
    if (!payload.keep(frame.bytes)) await payload.write(frame.bytes)
  }
  if (isForbidden) return { kind: 'forbidden' }
  return headerText === undefined ? { kind: 'dropped' } : payload.finish(headerText)
}

/** A payload on its way into memory or to the disk; a fault of ours ends the writing, not the reading. */
class ArrivingPayload {
  readonly #bytes: number
  #hash: Hash | undefined
  #sink: PayloadSink | undefined
  /** A buffer of its own: it goes to other threads, which would copy a shared one as a whole. */
  #memory: Buffer | undefined
  #filled = 0
  #fault: { readonly error: unknown } | undefined

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  async open(accept: () => Promise<PayloadPlace>): Promise<void> {
    await this.#attempt(async () => {
      const place = await accept()
      if (place === 'memory') this.#memory = Buffer.allocUnsafeSlow(this.#bytes)
      else this.#sink = place
    })
    if (this.#sink !== undefined) this.#hash = createHash('sha1')
  }

  /** True when nothing is left to be done about these octets. */
  keep(bytes: Uint8Array): boolean {
    if (this.#memory === undefined) return this.#sink === undefined || this.#fault !== undefined
    this.#memory.set(bytes, this.#filled)
    this.#filled += bytes.length
    return true
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash?.update(bytes)
    await this.#attempt(async () => this.#sink?.write(bytes))
  }

  async discard(): Promise<void> {
    await this.#sink?.discard()
  }

  async finish(headerText: string): Promise<ReceivedBlock> {
    if (this.#fault !== undefined) {
      await this.discard()
      return { kind: 'unstorable', error: this.#fault.error }
    }
    if (this.#memory !== undefined) {
      const sha1 = hash('sha1', this.#memory, 'hex')
      return { kind: 'small-data', headerText, payload: this.#memory, sha1 }
    }
    if (this.#sink === undefined || this.#hash === undefined) return { kind: 'dropped' }
    return { kind: 'data', headerText, sink: this.#sink, sha1: this.#hash.digest('hex') }
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

/**
 * Bytes of a CM connection into frames, for both directions and without I/O (CM wire 1.5, 7.4, 7.5). Lines are
 * latin1 text, one character per octet, without their CRLF; whoever wants characters decodes them.
 */

/** Octets of a line without its CRLF; the reference drops the connection above it (CM wire 1.5). */
export const MAX_LINE_BYTES = 16_384

const CR = 0x0d
const EMPTY = Buffer.alloc(0)

export type CmFrame =
  /** A command, a reply, or a line inside a block. `bare`: it holds a lone CR or LF, so it must be refused (S5). */
  | { readonly kind: 'line'; readonly line: string; readonly bare: boolean }
  /** Inside a block: its closing `EndBlock`. */
  | { readonly kind: 'end-block' }
  /** Inside a block: the `Data: n` line; exactly n octets follow as `payload` frames, then `payload-end`. */
  | { readonly kind: 'data-line'; readonly line: string; readonly payloadBytes: number }
  | { readonly kind: 'payload'; readonly bytes: Uint8Array }
  | { readonly kind: 'payload-end' }
  /** A line over `MAX_LINE_BYTES`: the stream is lost, nothing follows. */
  | { readonly kind: 'too-long' }

/** `Data: n` with n at least 1 and no leading zero; other spellings are ordinary lines (CM wire 2.3, 7.4). */
const DATA_LINE = /^Data: ([1-9][0-9]*)$/i
const PADDING_LINE = /^Padding: /i
const END_BLOCK = /^EndBlock$/i

type Mode =
  | { readonly name: 'lines' }
  | { readonly name: 'block' }
  | { readonly name: 'payload'; remaining: number }
  | { readonly name: 'broken' }

/**
 * Push chunks in, pull frames out: `next()` is undefined when it needs more bytes. The consumer says when a block
 * starts; the framer leaves it by itself at `EndBlock` or after the payload. It holds at most one line and the chunk
 * that was pushed last, provided frames are pulled before the next push.
 */
export class CmFramer {
  #buffer: Buffer = EMPTY
  /** Octets of the buffer that were given out. */
  #taken = 0
  /** Octets of the buffer behind which a CRLF may start. */
  #scanned = 0
  #mode: Mode = { name: 'lines' }

  /** The chunk must not change afterwards: frames may point into it. */
  push(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#replace(this.#rest === 0 ? chunk : Buffer.concat([this.#buffer.subarray(this.#taken), chunk]))
  }

  /** The lines that follow are a block: `EndBlock`, `Data: n` and `Padding:` get their meaning. */
  startBlock(): void {
    this.#mode = { name: 'block' }
  }

  /** The lines that follow are commands or replies again: a reply turned out to be a single line. */
  leaveBlock(): void {
    this.#mode = { name: 'lines' }
  }

  /** True when no octet waits: what STARTTLS asks for. */
  get isEmpty(): boolean {
    return this.#rest === 0
  }

  next(): CmFrame | undefined {
    const frame = this.#next()
    if (frame === undefined) this.#compact()
    return frame
  }

  #next(): CmFrame | undefined {
    switch (this.#mode.name) {
      case 'broken':
        return undefined
      case 'payload':
        return this.#nextPayload(this.#mode)
      case 'lines':
        return this.#nextLine()
      case 'block':
        return this.#nextBlockLine()
    }
  }

  #nextPayload(mode: { remaining: number }): CmFrame | undefined {
    if (mode.remaining === 0) {
      this.#mode = { name: 'lines' }
      return { kind: 'payload-end' }
    }
    if (this.#rest === 0) return undefined
    const end = this.#taken + Math.min(mode.remaining, this.#rest)
    const bytes = this.#buffer.subarray(this.#taken, end)
    this.#take(end)
    mode.remaining -= bytes.length
    return { kind: 'payload', bytes }
  }

  #nextBlockLine(): CmFrame | undefined {
    for (;;) {
      const frame = this.#nextLine()
      if (frame?.kind !== 'line') return frame
      if (END_BLOCK.test(frame.line)) {
        this.#mode = { name: 'lines' }
        return { kind: 'end-block' }
      }
      const payloadBytes = DATA_LINE.exec(frame.line)?.[1]
      if (payloadBytes !== undefined) {
        this.#mode = { name: 'payload', remaining: Number(payloadBytes) }
        return { kind: 'data-line', line: frame.line, payloadBytes: Number(payloadBytes) }
      }
      if (!PADDING_LINE.test(frame.line)) return frame
    }
  }

  #nextLine(): CmFrame | undefined {
    const found = this.#buffer.indexOf('\r\n', this.#scanned, 'latin1')
    // A CR at the very end may be the first half of the CRLF.
    const pendingCr = found < 0 && this.#rest > 0 && this.#buffer.at(-1) === CR ? 1 : 0
    const end = found < 0 ? this.#buffer.length - pendingCr : found
    if (end - this.#taken > MAX_LINE_BYTES) {
      this.#mode = { name: 'broken' }
      this.#replace(EMPTY)
      return { kind: 'too-long' }
    }
    if (found < 0) {
      this.#scanned = end
      return undefined
    }
    const line = this.#buffer.toString('latin1', this.#taken, end)
    this.#take(end + 2)
    return { kind: 'line', line, bare: line.includes('\r') || line.includes('\n') }
  }

  get #rest(): number {
    return this.#buffer.length - this.#taken
  }

  #take(end: number): void {
    this.#taken = end
    this.#scanned = end
  }

  #replace(buffer: Buffer): void {
    const scanned = this.#scanned - this.#taken
    this.#buffer = buffer
    this.#taken = 0
    this.#scanned = buffer === EMPTY ? 0 : scanned
  }

  /** The rest of a line is kept by itself: a slow peer must not keep the whole chunk it came in. */
  #compact(): void {
    if (this.#taken > 0)
      this.#replace(this.#rest === 0 ? EMPTY : Buffer.from(this.#buffer.subarray(this.#taken)))
  }
}

/** A line ready for the wire. Throws on CR or LF inside: such text never comes from us. */
export function encodeLine(line: string): Uint8Array {
  if (/[\r\n]/.test(line)) throw new Error('a line for the wire holds a line end')
  return Buffer.from(`${line}\r\n`, 'utf8')
}

/**
 * The lines of a stored block, ready for the wire with CRLF and without `EndBlock`: CR is dropped, a final LF makes no
 * further line (CM wire 1.5). The text is UTF-8.
 */
export function encodeBlockLines(text: string): Uint8Array {
  const lines = text.replaceAll('\r', '').replace(/\n$/, '')
  return Buffer.from(`${lines.replaceAll('\n', '\r\n')}\r\n`, 'utf8')
}

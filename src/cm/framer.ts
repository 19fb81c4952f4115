/**
 * Bytes of a CM connection into frames, for both directions and without I/O (CM wire 1.5, 7.4, 7.5). Lines are
 * latin1 text, one character per octet, without their CRLF; whoever wants characters decodes them.
 */

/** Octets of a line without its CRLF; the reference drops the connection above it (CM wire 1.5). */
export const MAX_LINE_BYTES = 16_384

const CR = 0x0d
const LF = 0x0a

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
  #buffer: Buffer = Buffer.alloc(0)
  /** Octets of the buffer that are known to hold no CRLF start. */
  #scanned = 0
  #mode: Mode = { name: 'lines' }

  push(bytes: Uint8Array): void {
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#buffer, bytes])
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
    return this.#buffer.length === 0
  }

  next(): CmFrame | undefined {
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
    if (this.#buffer.length === 0) return undefined
    const bytes = this.#take(Math.min(mode.remaining, this.#buffer.length))
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
    const end = this.#buffer.indexOf('\r\n', this.#scanned, 'latin1')
    const length = end < 0 ? this.#buffer.length : end
    // A CR at the very end may be the first half of the CRLF.
    const pendingCr = end < 0 && this.#buffer.at(-1) === CR ? 1 : 0
    if (length - pendingCr > MAX_LINE_BYTES) {
      this.#mode = { name: 'broken' }
      this.#buffer = Buffer.alloc(0)
      return { kind: 'too-long' }
    }
    if (end < 0) {
      this.#scanned = length - pendingCr
      return undefined
    }
    const octets = this.#take(end)
    this.#take(2)
    return {
      kind: 'line',
      line: Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('latin1'),
      bare: octets.includes(CR) || octets.includes(LF),
    }
  }

  #take(count: number): Uint8Array {
    const bytes = this.#buffer.subarray(0, count)
    this.#buffer = this.#buffer.subarray(count)
    this.#scanned = 0
    return bytes
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

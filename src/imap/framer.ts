import { KEPT_LINE_START_BYTES, MAX_DISCARDED_LINE_BYTES, MAX_LITERAL_HEADER_BYTES } from './limits.ts'

/** `{n}` or `{n+}` (RFC 7888 4) at the end of a line; also of `~{n}`, so that a refused literal8 keeps us in step. */
export interface LiteralHeader {
  /** Octets that follow the line. */
  readonly size: number
  /** True for `{n}`: the client waits for a continuation request. */
  readonly sync: boolean
}

export type Frame =
  /** A line without its CRLF. After one with a literal the owner calls `acceptLiteral` or `refuseLiteral`. */
  | { readonly kind: 'line'; readonly text: Uint8Array; readonly literal: LiteralHeader | null }
  /** A line that is not taken; `start` holds its first octets. Its literal, if any, must be refused. */
  | {
      readonly kind: 'broken-line'
      readonly reason: 'too-long' | 'bare-lf'
      readonly start: Uint8Array
      readonly literal: LiteralHeader | null
    }
  /** The next octets of an accepted literal; `last` with the final ones (an empty literal gives one empty frame). */
  | { readonly kind: 'literal'; readonly bytes: Uint8Array; readonly last: boolean }
  /** The command with the refused literal has been read to its end. */
  | { readonly kind: 'skipped' }
  /** There is no way back into step: close the connection. */
  | { readonly kind: 'hopeless'; readonly reason: string }

export interface FramerLimits {
  readonly maxLineBytes: number
  readonly maxSkippedLiteralBytes: number
}

type Mode =
  | { readonly name: 'line' }
  | { readonly name: 'decide'; readonly literal: LiteralHeader }
  | { readonly name: 'literal' | 'skip'; remaining: number }
  /** `rest`: reading on behind a skipped literal, up to the end of its command; `skipped`: to be told. */
  | { readonly name: 'rest' | 'skipped' }
  | { readonly name: 'hopeless'; readonly reason: string }

const LF = 0x0a
const CR = 0x0d
const EMPTY = new Uint8Array(0)

/**
 * Cuts what a client sends into lines and literals (RFC 9051 2.2.1, 4.3; RFC 7888). Sans-IO: the owner pushes bytes
 * when `next` has nothing left. `next` is pulled, because whether a literal is taken is decided between two frames.
 * A refused synchronizing literal never comes; a refused non-synchronizing one is dropped with the rest of its command,
 * so that its octets cannot be read as commands.
 */
export class Framer {
  #limits: FramerLimits
  #mode: Mode = { name: 'line' }
  #pending: Uint8Array[] = []
  #line: Uint8Array[] = []
  #lineBytes = 0
  /** Of an over-long line: its last octets, where a literal header may stand. */
  #tail: Uint8Array = EMPTY

  constructor(limits: FramerLimits) {
    this.#limits = limits
  }

  /** New limits from the next line on (after login). */
  setLimits(limits: FramerLimits): void {
    this.#limits = limits
  }

  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#pending.push(bytes)
  }

  /** True when not one octet is buffered: what STARTTLS requires (RFC 3501 6.2.1). */
  get isEmpty(): boolean {
    return this.#pending.length === 0 && this.#lineBytes === 0
  }

  /** The next frame, or undefined until more bytes are pushed. */
  next(): Frame | undefined {
    for (;;) {
      switch (this.#mode.name) {
        case 'hopeless':
          return { kind: 'hopeless', reason: this.#mode.reason }
        case 'decide':
          throw new Error('a literal waits for acceptLiteral or refuseLiteral')
        case 'line':
          return this.#takeLine(true)
        case 'literal':
          return this.#takeLiteral(this.#mode)
        case 'skipped':
          this.#mode = { name: 'line' }
          return { kind: 'skipped' }
        case 'skip':
          if (!this.#skip(this.#mode)) return undefined
          break
        case 'rest': {
          const line = this.#takeLine(true)
          if (line === undefined || line.kind === 'hopeless') return line
          if (this.#endRest(line)) return { kind: 'skipped' }
        }
      }
    }
  }

  /** A line in which `{n}` means nothing: the answer to a continuation request (IDLE, AUTHENTICATE). */
  nextContinuationLine(): Frame | undefined {
    return this.#takeLine(false)
  }

  acceptLiteral(): void {
    this.#mode = { name: 'literal', remaining: this.#decide().size }
  }

  /** After this `next` gives `skipped` once the command is over, at once for a synchronizing literal. */
  refuseLiteral(): void {
    const literal = this.#decide()
    if (literal.sync) {
      this.#mode = { name: 'skipped' }
    } else if (literal.size > this.#limits.maxSkippedLiteralBytes) {
      this.#mode = { name: 'hopeless', reason: 'Literal too large' }
    } else {
      this.#mode = { name: 'skip', remaining: literal.size }
    }
  }

  #decide(): LiteralHeader {
    if (this.#mode.name !== 'decide') throw new Error('no literal waits for a decision')
    return this.#mode.literal
  }

  #takeLiteral(mode: { remaining: number }): Frame | undefined {
    const head = mode.remaining === 0 ? EMPTY : this.#pending[0]
    if (head === undefined) return undefined
    const bytes = head.subarray(0, mode.remaining)
    if (bytes.length > 0) this.#consume(bytes.length)
    mode.remaining -= bytes.length
    if (mode.remaining === 0) this.#mode = { name: 'line' }
    return { kind: 'literal', bytes, last: mode.remaining === 0 }
  }

  /** False when more bytes are needed. */
  #skip(mode: { remaining: number }): boolean {
    while (mode.remaining > 0) {
      const head = this.#pending[0]
      if (head === undefined) return false
      const dropped = Math.min(head.length, mode.remaining)
      this.#consume(dropped)
      mode.remaining -= dropped
    }
    this.#mode = { name: 'rest' }
    return true
  }

  /** Looks at a line behind a skipped literal; true when it ends the command. */
  #endRest(line: Frame): boolean {
    const literal = 'literal' in line ? line.literal : null
    if (literal === null || literal.sync) {
      this.#mode = { name: 'line' }
      return true
    }
    this.refuseLiteral()
    return false
  }

  #consume(count: number): void {
    const head = this.#pending[0]
    if (head === undefined) return
    if (count === head.length) this.#pending.shift()
    else this.#pending[0] = head.subarray(count)
  }

  #takeLine(withLiteral: boolean): Frame | undefined {
    for (let head = this.#pending[0]; head !== undefined; head = this.#pending[0]) {
      const end = head.indexOf(LF)
      const piece = end === -1 ? head : head.subarray(0, end + 1)
      this.#consume(piece.length)
      this.#collect(piece)
      if (end !== -1) return this.#endLine(withLiteral)
      if (this.#lineBytes > MAX_DISCARDED_LINE_BYTES) {
        this.#mode = { name: 'hopeless', reason: 'Line too long' }
        return { kind: 'hopeless', reason: 'Line too long' }
      }
    }
    return undefined
  }

  #collect(piece: Uint8Array): void {
    const maxBytes = this.#limits.maxLineBytes + 2
    const kept = this.#lineBytes <= maxBytes
    this.#lineBytes += piece.length
    if (kept && this.#lineBytes <= maxBytes) {
      this.#line.push(piece)
      return
    }
    if (kept) {
      const all = Buffer.concat([...this.#line, piece])
      // Never more than the limit: how much lies beyond it depends on how the octets were cut.
      const keptBytes = Math.min(KEPT_LINE_START_BYTES, this.#limits.maxLineBytes)
      this.#line = [Buffer.from(all.subarray(0, keptBytes))]
      this.#tail = Buffer.from(all.subarray(-MAX_LITERAL_HEADER_BYTES))
      return
    }
    this.#tail = Buffer.from(Buffer.concat([this.#tail, piece]).subarray(-MAX_LITERAL_HEADER_BYTES))
  }

  #endLine(withLiteral: boolean): Frame {
    const tooLong = this.#lineBytes > this.#limits.maxLineBytes + 2
    const raw = this.#line.length === 1 ? (this.#line[0] ?? EMPTY) : Buffer.concat(this.#line)
    const ending = tooLong ? this.#tail : raw
    const hasCr = ending.length > 1 && ending.at(-2) === CR
    const literal = withLiteral ? literalHeader(ending.subarray(0, hasCr ? -2 : -1)) : null
    this.#line = []
    this.#lineBytes = 0
    this.#tail = EMPTY
    if (literal !== null) this.#mode = { name: 'decide', literal }
    if (tooLong) return { kind: 'broken-line', reason: 'too-long', start: raw, literal }
    if (!hasCr) {
      return {
        kind: 'broken-line',
        reason: 'bare-lf',
        start: raw.subarray(0, KEPT_LINE_START_BYTES),
        literal,
      }
    }
    return { kind: 'line', text: raw.subarray(0, -2), literal }
  }
}

/** literal = "{" number64 ["+"] "}" CRLF (RFC 9051 9); a number we could not even count to makes no literal. */
function literalHeader(text: Uint8Array): LiteralHeader | null {
  if (text.at(-1) !== 0x7d) return null
  const end = Buffer.from(text.subarray(-MAX_LITERAL_HEADER_BYTES)).toString('latin1')
  const match = /\{(\d+)(\+?)\}$/.exec(end)
  if (match === null) return null
  return { size: Number(match[1]), sync: match[2] === '' }
}

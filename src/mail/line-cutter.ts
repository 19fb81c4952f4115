/** Where a line that may be a delimiter lies. Offsets count from the message start. */
export interface DelimiterPlace {
  /** End of the content before it: without the line break in front, which belongs to the delimiter (RFC 2046 5.1.1). */
  readonly contentEnd: number
  /** Line feeds before `contentEnd`. */
  readonly lineFeeds: number
  /** The octet after its own line break. */
  readonly next: number
}

/** What the cutter tells. It asks `inHeader` again for each line, since any line may change it. */
export interface LineSink {
  readonly inHeader: boolean
  /** A line that begins with `--`, without its line break; returns what it was. */
  delimiter(line: string, place: DelimiterPlace): 'none' | 'opens' | 'closes'
  headerText(bytes: Uint8Array): void
  /** The empty line that ends a header; its bytes came as `headerText`. */
  headerEnd(at: { readonly end: number; readonly lineFeeds: number }): void
  /** Content without the line breaks that may yet belong to a delimiter. Bytes are only valid during the call. */
  content(bytes: Uint8Array): void
}

/** A line longer than this is no delimiter: `--`, the longest boundary, `--`, blanks, and the line break. */
const MAX_DELIMITER_LINE_BYTES = 1_200

const LF = 0x0a
const CR = 0x0d
const DASH = 0x2d
const CRLF_BYTES = Buffer.from('\r\n')
const LF_BYTES = Buffer.from('\n')

/**
 * Cuts bytes into lines, whatever the chunks are, and holds back no more than one possible delimiter. Lines end in
 * LF or CRLF. Content goes out in runs as long as the chunks allow.
 */
export class LineCutter {
  readonly #sink: LineSink
  /** The unfinished line at the end of what was pushed; then the block at hand. */
  #block: Buffer = Buffer.alloc(0)
  /** Offset of the block's first octet in the message. */
  #offset = 0
  #lineFeeds = 0
  /** Octets of the line break in front of the line at hand that would belong to a delimiter: 0, 1 or 2. */
  #breakBefore = 0
  /** Octets of a line break that lay at the end of an earlier block and was not given out yet: 0, 1 or 2. */
  #heldBreak = 0
  /** The block begins inside a line that is too long to be a delimiter or an empty line. */
  #midLine: boolean = false
  /** Of the block, `[runStart, runEnd)` is content that was not given out yet. */
  #runStart = 0
  #runEnd = 0

  constructor(sink: LineSink) {
    this.#sink = sink
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    this.#block = this.#block.length === 0 ? bytes : Buffer.concat([this.#block, bytes])
    this.#runStart = 0
    this.#runEnd = 0
    let position = 0
    for (let at = this.#block.indexOf(LF); at >= 0; at = this.#block.indexOf(LF, position)) {
      this.#line(position, at)
      position = at + 1
    }
    if (this.#block.length - position > MAX_DELIMITER_LINE_BYTES) position = this.#partOfLine(position)
    this.#flush()
    if (this.#runEnd < position) this.#heldBreak = position - this.#runEnd
    // A copy: the chunk is its owner's again when this returns.
    this.#block = Buffer.from(this.#block.subarray(position))
    this.#offset += position
  }

  /** Takes the last line, which has no line break. */
  finish(): { readonly size: number; readonly lineFeeds: number } {
    const size = this.#offset + this.#block.length
    const rest = this.#block
    const kind = rest.length > 0 ? this.#delimiter(0, rest.length, rest.length) : 'none'
    if (kind === 'none') {
      if (this.#sink.inHeader) this.#sink.headerText(rest)
      else {
        this.#emitHeldBreak()
        this.#sink.content(rest)
      }
    }
    return { size, lineFeeds: this.#lineFeeds }
  }

  /** The line from `start` to the line feed at `lineFeed`, both in the block. */
  #line(start: number, lineFeed: number): void {
    const lineBreak = lineFeed > start && this.#block[lineFeed - 1] === CR ? 2 : 1
    const textEnd = lineFeed + 1 - lineBreak
    const kind = this.#delimiter(start, textEnd, lineFeed + 1)
    this.#lineFeeds++
    if (kind !== 'none') {
      this.#restart(lineFeed + 1, kind === 'opens' ? 0 : lineBreak)
    } else if (this.#sink.inHeader) this.#headerLine(start, textEnd, lineFeed + 1)
    else {
      this.#emitHeldBreak()
      this.#runEnd = textEnd
      this.#breakBefore = lineBreak
    }
    this.#midLine = false
  }

  #headerLine(start: number, textEnd: number, next: number): void {
    this.#sink.headerText(this.#block.subarray(start, next))
    const isEmpty = textEnd === start && !this.#midLine
    if (isEmpty) this.#sink.headerEnd({ end: this.#offset + next, lineFeeds: this.#lineFeeds })
    this.#restart(next, isEmpty ? 0 : next - textEnd)
  }

  /** What follows begins at `next` of the block; nothing before it is to be given out. */
  #restart(next: number, breakBefore: number): void {
    this.#runStart = next
    this.#runEnd = next
    this.#heldBreak = 0
    this.#breakBefore = breakBefore
  }

  #delimiter(start: number, textEnd: number, next: number): 'none' | 'opens' | 'closes' {
    const block = this.#block
    if (this.#midLine || block[start] !== DASH || block[start + 1] !== DASH) return 'none'
    if (next - start > MAX_DELIMITER_LINE_BYTES) return 'none'
    this.#flush()
    return this.#sink.delimiter(block.toString('latin1', start, textEnd), {
      contentEnd: this.#offset + start - this.#breakBefore,
      lineFeeds: this.#lineFeeds - (this.#breakBefore > 0 ? 1 : 0),
      next: this.#offset + next,
    })
  }

  /** Gives out the start of a line that is too long to hold back; returns how far it went. */
  #partOfLine(start: number): number {
    const end = this.#block.length - (this.#block.at(-1) === CR ? 1 : 0)
    if (this.#sink.inHeader) {
      this.#sink.headerText(this.#block.subarray(start, end))
      this.#restart(end, 0)
    } else {
      this.#emitHeldBreak()
      this.#runEnd = end
    }
    this.#midLine = true
    return end
  }

  #flush(): void {
    if (this.#runEnd > this.#runStart) this.#sink.content(this.#block.subarray(this.#runStart, this.#runEnd))
    this.#runStart = this.#runEnd
  }

  #emitHeldBreak(): void {
    if (this.#heldBreak > 0) this.#sink.content(this.#heldBreak === 2 ? CRLF_BYTES : LF_BYTES)
    this.#heldBreak = 0
  }
}

import { parseMailDate } from './date.ts'
import { buildEnvelope } from './envelope.ts'
import { type HeaderField, splitHeader } from './header.ts'
import { type DelimiterPlace, LineCutter, type LineSink } from './line-cutter.ts'
import type { BodyPart, MessageIndex } from './message-index.ts'
import { closePart, type OpenPart, openPart } from './open-part.ts'
import { isIdentityEncoding, type PartHeader, readBoundary, readPartHeader } from './part-header.ts'

/** Multiparts and embedded messages inside each other; deeper ones are shown as plain text (design 7.4). */
export const MAX_DEPTH = 50
/** Parts of one message, multiparts and embedded messages counted; delimiters after that are text (design 7.4). */
export const MAX_PARTS = 900
/** Octets of the message header that are kept and read. Real ones are under 64 KiB even after many relays. */
export const MAX_INDEXED_HEADER_BYTES = 256 * 1024
/** Octets of one part's header that are read. */
const MAX_PART_HEADER_BYTES = 32 * 1024
/** Octets of all part headers together, so that 900 of them stay a small index; after that each gets the floor. */
const MAX_PART_HEADERS_BYTES = 1024 * 1024
const MIN_PART_HEADER_BYTES = 1024

/** Hears of the content of every leaf part as it goes by. Bytes are only valid during the call. */
export interface LeafListener {
  begin(header: PartHeader): void
  bytes(chunk: Uint8Array): void
  end(): void
}

/** An index, and which limits the message went over (the index is then right, but coarser than the message). */
export interface ScannedMessage {
  readonly index: MessageIndex
  /** Octets of the message header, whatever of it was kept. */
  readonly headerBytes: number
  readonly exceeded: { readonly depth: boolean; readonly parts: boolean }
}

/**
 * Cuts a message into its parts as the bytes come: pure, one pass, bounded memory. Offsets are exact: no byte is
 * changed or guessed. A delimiter of any multipart that is still open ends everything inside it, so a closing
 * delimiter that never comes swallows nothing (case M01). Malformed MIME becomes text/plain, never an error.
 */
export class MessageScanner implements LineSink {
  readonly #cutter = new LineCutter(this)
  readonly #listener: LeafListener | undefined
  /** The open parts, the root first; a message part is followed by its embedded message. */
  readonly #open: OpenPart[] = [openPart(0, 'text/plain')]
  /** LineSink. */
  inHeader: boolean = true
  #header: string[] = []
  #headerRoom = MAX_INDEXED_HEADER_BYTES
  #partHeadersRoom = MAX_PART_HEADERS_BYTES
  #parts = 1
  #exceededDepth: boolean = false
  #exceededParts: boolean = false
  #headerBytes: Uint8Array = new Uint8Array(0)
  #rootFields: readonly HeaderField[] = []
  #root: BodyPart | undefined
  /** True while the top part is a leaf whose content goes to the listener. */
  #inLeaf: boolean = false

  constructor(listener?: LeafListener) {
    this.#listener = listener
  }

  push(chunk: Uint8Array): void {
    this.#cutter.push(chunk)
  }

  /** Ends the message. */
  finish(): ScannedMessage {
    const { size, lineFeeds } = this.#cutter.finish()
    this.#closeDownTo(0, { end: size, lineFeeds })
    if (this.#root === undefined) throw new Error('the root part was not closed')
    return {
      index: {
        size,
        envelope: buildEnvelope(this.#rootFields),
        structure: this.#root,
        headerBytes: this.#headerBytes,
        dateMs: dateOf(this.#rootFields),
      },
      headerBytes: this.#root.header.end,
      exceeded: { depth: this.#exceededDepth, parts: this.#exceededParts },
    }
  }

  /** LineSink: a line that begins with two dashes. */
  delimiter(line: string, place: DelimiterPlace): 'none' | 'opens' | 'closes' {
    const found = this.#findDelimiter(line)
    if (found === undefined) return 'none'
    if (!found.closes && this.#parts >= MAX_PARTS) {
      this.#exceededParts = true
      return 'none'
    }
    this.#closeDownTo(found.depth + 1, { end: place.contentEnd, lineFeeds: place.lineFeeds })
    if (!found.closes) {
      this.#openChild(place.next)
      return 'opens'
    }
    const owner = this.#open[found.depth]
    if (owner !== undefined) owner.isClosed = true
    return 'closes'
  }

  /** LineSink: a piece of a line inside a header. */
  headerText(bytes: Uint8Array): void {
    if (this.#headerRoom <= 0) return
    const kept = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, this.#headerRoom))
    this.#headerRoom -= kept.length
    this.#header.push(kept.toString('latin1'))
  }

  /** LineSink: the empty line that ends a header. */
  headerEnd(at: { readonly end: number; readonly lineFeeds: number }): void {
    this.#endHeader(at)
  }

  /** LineSink: content of a leaf, without line breaks that may yet belong to a delimiter. */
  content(bytes: Uint8Array): void {
    if (this.#inLeaf) this.#listener?.bytes(bytes)
  }

  #findDelimiter(line: string): { readonly depth: number; readonly closes: boolean } | undefined {
    const text = line.slice(2).trimEnd()
    for (let depth = this.#open.length - 1; depth >= 0; depth--) {
      const part = this.#open[depth]
      if (part?.boundary === undefined || part.isClosed) continue
      if (text === part.boundary) return { depth, closes: false }
      // A closing delimiter before the first part closes nothing: it is preamble.
      const hasParts = part.children.length > 0 || depth < this.#open.length - 1
      if (hasParts && text === `${part.boundary}--`) return { depth, closes: true }
    }
    return undefined
  }

  #openChild(start: number): void {
    const parent = this.#open.at(-1)
    const isDigest = parent?.header?.type === 'multipart' && parent.header.subtype === 'digest'
    this.#open.push(openPart(start, isDigest ? 'message/rfc822' : 'text/plain'))
    this.#parts++
    this.inHeader = true
    this.#header = []
    this.#headerRoom = Math.max(MIN_PART_HEADER_BYTES, Math.min(MAX_PART_HEADER_BYTES, this.#partHeadersRoom))
  }

  #endHeader(at: { readonly end: number; readonly lineFeeds: number }): void {
    const part = this.#open.at(-1)
    if (part === undefined) return
    const text = this.#header.join('')
    this.#header = []
    this.inHeader = false
    if (this.#open.length === 1) this.#headerBytes = Buffer.from(text, 'latin1')
    else this.#partHeadersRoom -= text.length
    const fields = splitHeader(text)
    if (this.#open.length === 1) this.#rootFields = fields
    part.fields = fields
    part.header = readPartHeader(fields, part.defaultType)
    part.bodyStart = at.end
    part.lineFeedsBefore = at.lineFeeds
    this.#decideKind(part, part.header, at.end)
  }

  /** A multipart with a boundary and an unencoded message/rfc822 are looked into; all else is a leaf. */
  #decideKind(part: OpenPart, header: PartHeader, bodyStart: number): void {
    const hasRoom = this.#open.length < MAX_DEPTH
    const boundary = header.type === 'multipart' ? readBoundary(header) : undefined
    const isMessage = header.type === 'message' && header.subtype === 'rfc822'
    if (!hasRoom && (boundary !== undefined || isMessage)) this.#exceededDepth = true
    if (boundary !== undefined && hasRoom) {
      part.boundary = boundary
      return
    }
    if (isMessage && isIdentityEncoding(header.encoding) && hasRoom) {
      if (this.#parts < MAX_PARTS) {
        part.isMessage = true
        this.#openChild(bodyStart)
        return
      }
      this.#exceededParts = true
    }
    this.#inLeaf = true
    this.#listener?.begin(header)
  }

  /** Closes the open parts from the top until `depth` of them are left. */
  #closeDownTo(depth: number, at: { readonly end: number; readonly lineFeeds: number }): void {
    while (this.#open.length > depth) {
      // Ending the header of an embedding part opens the embedded message, which has a header too.
      while (this.inHeader) this.#endHeader(at)
      const part = this.#open.pop()
      if (part === undefined) return
      if (this.#inLeaf) {
        this.#inLeaf = false
        this.#listener?.end()
      }
      const closed = closePart(part, at)
      const parent = this.#open.at(-1)
      if (parent === undefined) this.#root = closed
      else {
        parent.children.push(closed)
        if (parent.isMessage) parent.embeddedFields = part.fields
      }
    }
  }
}

function dateOf(fields: readonly HeaderField[]): number | null {
  const field = fields.find((candidate) => candidate.name.toLowerCase() === 'date')
  if (field === undefined) return null
  return parseMailDate(field.raw.slice(field.raw.indexOf(':') + 1))?.epochMs ?? null
}

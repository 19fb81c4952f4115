import type { ByteRange, MessageIndex } from '../../mail/message-index.ts'
import { isIdentityEncoding } from '../../mail/part-header.ts'
import { decodeTransferStream } from '../../mail/transfer-decoding.ts'
import { base64LinesLength } from './byte-streams.ts'
import { recipeHeader } from './mime-recipe.ts'
import type { FilePlan } from './plan-parts.ts'
import type { Spool } from './spool-file.ts'

/** A message as it was accepted: its index and its octets, read by range as often as needed. */
export interface MessageSource {
  readonly index: MessageIndex
  /** The octets `[start, end)`; each call reads anew. */
  openRange(range: ByteRange): AsyncIterable<Uint8Array>
}

/** A planned file, written, and how its octets can give those of the message back. */
export interface SpooledPart {
  readonly plan: FilePlan
  readonly path: string
  readonly size: number
  /** Null when only a literal can (quoted-printable, unusual base64, nothing in it). */
  readonly rebuild: PartRebuild | null
}

/** Which octets of the message the file gives back, and how. */
export type PartRebuild =
  | { readonly kind: 'base64'; readonly range: ByteRange; readonly line: number }
  | { readonly kind: 'as-is'; readonly range: ByteRange; readonly skip: number }

/** RFC 2045 6.8; also the answer for base64 that has no second line to tell. */
const USUAL_BASE64_LINE = 76
/** RFC 5322 2.1.1. */
const MAX_LINE_CHARS = 998

/** Decodes one planned part into a file of the spool. */
export async function spoolPart(source: MessageSource, plan: FilePlan, spool: Spool): Promise<SpooledPart> {
  const { part } = plan
  if (plan.as === 'entity') return spoolEntity(source, plan, spool)
  const encoding = part.kind === 'multipart' || part.kind === 'message' ? '7bit' : part.encoding
  if (encoding !== 'base64') {
    const file = await spool.write(decodeTransferStream(source.openRange(part.body), encoding))
    const isAsIs = isIdentityEncoding(encoding) && file.size > 0
    return { plan, ...file, rebuild: isAsIs ? { kind: 'as-is', range: part.body, skip: 0 } : null }
  }
  const probe = new FirstLineProbe()
  const file = await spool.write(decodeTransferStream(probe.watch(source.openRange(part.body)), encoding))
  return { plan, ...file, rebuild: base64Rebuild(part.body, file.size, probe.firstLineChars) }
}

/** The part with its header; the message's own header is cut down to what describes the entity. */
async function spoolEntity(source: MessageSource, plan: FilePlan, spool: Spool): Promise<SpooledPart> {
  const { part } = plan
  const isRoot = part === source.index.structure
  const header = isRoot ? entityHeader(source.index.headerBytes) : Buffer.alloc(0)
  const start = isRoot ? part.body.start : part.header.start
  const range = { start, end: part.body.end }
  const file = await spool.write(concat(header, source.openRange(range)))
  return { plan, ...file, rebuild: { kind: 'as-is', range, skip: header.length } }
}

function entityHeader(header: Uint8Array): Buffer {
  const fields = recipeHeader(header).filter((raw) => /^(?:content-|mime-version)/i.test(raw))
  return Buffer.from(`${fields.join('')}\r\n`, 'latin1')
}

async function* concat(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first
  yield* rest
}

/** What follows the encoded text (line breaks at the end) stays literal, so its length must fit into the part. */
function base64Rebuild(
  body: ByteRange,
  size: number,
  firstLineChars: number | undefined,
): PartRebuild | null {
  if (size === 0) return null
  const encodedChars = Math.ceil(size / 3) * 4
  const isOneLine = firstLineChars === undefined || firstLineChars >= encodedChars
  const line = isOneLine ? oneLine(encodedChars) : firstLineChars
  const end = body.start + base64LinesLength(size, line)
  return line > MAX_LINE_CHARS || end > body.end
    ? null
    : { kind: 'base64', range: { start: body.start, end }, line }
}

function oneLine(encodedChars: number): number {
  return encodedChars <= USUAL_BASE64_LINE ? USUAL_BASE64_LINE : 0
}

/** Notes where the first line ends while the octets go by. */
class FirstLineProbe {
  #chars = 0
  #isDone: boolean = false

  /** Characters of the first line without its break; undefined when there was no line break. */
  get firstLineChars(): number | undefined {
    return this.#isDone ? this.#chars : undefined
  }

  async *watch(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      if (!this.#isDone) this.#look(chunk)
      yield chunk
    }
  }

  #look(chunk: Uint8Array): void {
    const lineFeed = chunk.indexOf(0x0a)
    // Submitted messages have CRLF only (input policy), so the character before is a CR.
    this.#chars += lineFeed < 0 ? chunk.length : lineFeed - 1
    this.#isDone = lineFeed >= 0
  }
}

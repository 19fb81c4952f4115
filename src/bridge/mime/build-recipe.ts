import { createHash } from 'node:crypto'
import type { ByteRange } from '../../mail/message-index.ts'
import { hasSameBytes } from './byte-streams.ts'
import {
  encodeRecipe,
  LITERAL_ENTRY_PREFIX,
  MAX_RECIPE_BYTES,
  RECIPE_ENTRY_NAME,
  type RecipeSegment,
  rebuildBody,
  recipeHeader,
} from './mime-recipe.ts'
import { openSpooled, type Spool, type SpooledContent } from './spool-file.ts'
import type { MessageSource, PartRebuild } from './spool-parts.ts'

/** Octets of one literal that stand in the JSON; longer ones are entries of their own. */
const MAX_INLINE_BYTES = 16 * 1024
/** Octets of all literals in the JSON together. */
const MAX_ALL_INLINE_BYTES = 192 * 1024
/** `MIME.<n>` entries; what is left then goes into the last of them. */
const MAX_LITERAL_ENTRIES = 1_000

/** An entry of the ZIP besides those of the protocol. */
export type ExtraEntry = { readonly name: string } & SpooledContent

/** An attachment under the name it has in the ZIP. */
export interface RecipePart {
  readonly entryName: string
  readonly content: SpooledContent
  readonly rebuild: PartRebuild
}

/**
 * `MIME.JSON` and the entries it needs, tried before it is given out: rebuilt, it is the body of the message octet
 * for octet (design 7.7). A part that does not give its octets back is carried literally. Empty when the recipe would
 * be too large to be read.
 */
export async function buildRecipe(
  source: MessageSource,
  parts: readonly RecipePart[],
  spool: Spool,
): Promise<readonly ExtraEntry[]> {
  const draft = await draftSegments(source, parts, spool)
  const sha256 = await provenDigest(source, draft, parts)
  if (sha256 !== undefined) return finished(source, draft, sha256)
  const exact = await exactParts(source, parts)
  const second = await draftSegments(source, exact, spool)
  const secondSha256 = await provenDigest(source, second, exact)
  if (secondSha256 === undefined) throw new Error('a MIME recipe of exact parts does not give the message')
  return finished(source, second, secondSha256)
}

interface Draft {
  readonly segments: readonly RecipeSegment[]
  readonly literals: readonly ExtraEntry[]
}

function finished(source: MessageSource, draft: Draft, sha256: string): readonly ExtraEntry[] {
  const { headerBytes, structure } = source.index
  const bytes = encodeRecipe({
    version: 1,
    header: recipeHeader(headerBytes),
    size: structure.body.end - structure.body.start,
    sha256,
    segments: draft.segments,
  })
  return bytes.length > MAX_RECIPE_BYTES ? [] : [{ name: RECIPE_ENTRY_NAME, bytes }, ...draft.literals]
}

/** SHA-256 of the message's body when the draft gives exactly it; undefined when it does not. */
async function provenDigest(
  source: MessageSource,
  draft: Draft,
  parts: readonly RecipePart[],
): Promise<string | undefined> {
  const contents = new Map<string, SpooledContent>(draft.literals.map((entry) => [entry.name, entry]))
  for (const part of parts) contents.set(part.entryName, part.content)
  const hash = createHash('sha256')
  const rebuilt = rebuildBody(draft.segments, (name) => {
    const content = contents.get(name)
    if (content === undefined) throw new Error(`a MIME recipe names no entry of its own: ${name}`)
    return openSpooled(content)
  })
  const isSame = await hasSameBytes(rebuilt, hashed(source.openRange(source.index.structure.body), hash))
  return isSame ? hash.digest('hex') : undefined
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: { update(chunk: Uint8Array): unknown },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
}

async function exactParts(
  source: MessageSource,
  parts: readonly RecipePart[],
): Promise<readonly RecipePart[]> {
  const exact: RecipePart[] = []
  for (const part of parts) {
    const rebuilt = rebuildBody([segmentOf(part)], () => openSpooled(part.content))
    if (await hasSameBytes(rebuilt, source.openRange(part.rebuild.range))) exact.push(part)
  }
  return exact
}

function segmentOf({ entryName, rebuild }: RecipePart): RecipeSegment {
  return rebuild.kind === 'base64'
    ? { base64: entryName, line: rebuild.line }
    : { entry: entryName, skip: rebuild.skip }
}

/** The body from front to end: parts where there are any, literals between them. */
async function draftSegments(
  source: MessageSource,
  parts: readonly RecipePart[],
  spool: Spool,
): Promise<Draft> {
  const { body } = source.index.structure
  const literals = new LiteralWriter(source, spool)
  const ordered = parts.toSorted(
    (a, b) => a.rebuild.range.start - b.rebuild.range.start || b.rebuild.range.end - a.rebuild.range.end,
  )
  let position = body.start
  for (const part of ordered) {
    const { range } = part.rebuild
    // Inside a signed entity that is carried whole.
    if (range.start < position) continue
    await literals.add({ start: position, end: range.start })
    literals.segments.push(segmentOf(part))
    position = range.end
  }
  await literals.add({ start: position, end: body.end })
  return { segments: literals.segments, literals: literals.entries }
}

class LiteralWriter {
  readonly segments: RecipeSegment[] = []
  readonly entries: ExtraEntry[] = []
  readonly #source: MessageSource
  readonly #spool: Spool
  #inlineRoom = MAX_ALL_INLINE_BYTES

  constructor(source: MessageSource, spool: Spool) {
    this.#source = source
    this.#spool = spool
  }

  async add(range: ByteRange): Promise<void> {
    const length = range.end - range.start
    if (length === 0) return
    const isInline = length <= Math.min(MAX_INLINE_BYTES, this.#inlineRoom)
    if (isInline || this.entries.length >= MAX_LITERAL_ENTRIES) await this.#addInline(range)
    else await this.#addEntry(range)
  }

  async #addInline(range: ByteRange): Promise<void> {
    this.#inlineRoom -= range.end - range.start
    const chunks: Uint8Array[] = []
    for await (const chunk of this.#source.openRange(range)) chunks.push(chunk)
    this.segments.push({ literal: Buffer.concat(chunks).toString('latin1') })
  }

  async #addEntry(range: ByteRange): Promise<void> {
    const name = `${LITERAL_ENTRY_PREFIX}${this.entries.length + 1}`
    this.entries.push({ name, ...(await this.#spool.write(this.#source.openRange(range))) })
    this.segments.push({ entry: name, skip: 0 })
  }
}

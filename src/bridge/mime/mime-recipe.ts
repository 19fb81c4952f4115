import { createHash } from 'node:crypto'
import { splitHeader } from '../../mail/header.ts'
import { encodeBase64Lines, skipBytes } from './byte-streams.ts'

/**
 * `MIME.JSON`, the private ZIP entry from which another bridge rebuilds the original entity octet for octet
 * (design 7.7). The body is a row of segments; large parts are taken from the attachments that travel anyway.
 */
export interface MimeRecipe {
  readonly version: 1
  /** Whole fields of the message's own header, byte strings with their CRLF: only those of `isRecipeField`. */
  readonly header: readonly string[]
  /** Octets of the rebuilt body. */
  readonly size: number
  /** SHA-256 of the rebuilt body, lower-case hex. */
  readonly sha256: string
  readonly segments: readonly RecipeSegment[]
}

export type RecipeSegment =
  /** These octets, as a byte string. */
  | { readonly literal: string }
  /** Base64 of a ZIP entry in lines of that many characters with CRLF between them; 0: one line. No CRLF at the end. */
  | { readonly base64: string; readonly line: number }
  /** A ZIP entry as it is, without its first octets. */
  | { readonly entry: string; readonly skip: number }

/** The name of the entry; the reference client ignores names without `_` (CM message 1.5). */
export const RECIPE_ENTRY_NAME = 'MIME.JSON'
/** `MIME.<n>`: literal octets too many for the JSON. */
export const LITERAL_ENTRY_PREFIX = 'MIME.'

/** Octets of a `MIME.JSON`: a header of 256 KiB and literals twice over, escapes included. */
export const MAX_RECIPE_BYTES = 2 * 1024 * 1024
/** Three for each of the 900 parts a message may have, and some. */
const MAX_SEGMENTS = 4_000
/** RFC 5322 2.1.1, and it must divide nothing by zero. */
const MAX_BASE64_LINE = 998
/** Octets, UTF-8 (CM message 13, 19). */
const MAX_ENTRY_NAME_BYTES = 200
/** Octets of a rebuilt body: more than any message the bridge accepts, so that no arithmetic goes wrong. */
const MAX_BODY_BYTES = 8 * 1024 ** 3

const RECIPE_FIELDS = new Set(['message-id', 'in-reply-to', 'references', 'reply-to', 'date', 'mime-version'])

/** From, To, Cc, Subject come from HEADER.TXT; Bcc, trace and local fields never leave (design 7.7). */
function isRecipeField(name: string): boolean {
  const lower = name.toLowerCase()
  return RECIPE_FIELDS.has(lower) || lower.startsWith('content-')
}

/** The fields of a header that a recipe keeps: the first of each name. */
export function recipeHeader(header: Uint8Array): readonly string[] {
  const seen = new Set<string>()
  const kept: string[] = []
  for (const field of splitHeader(header)) {
    const name = field.name.toLowerCase()
    if (!isRecipeField(name) || seen.has(name)) continue
    seen.add(name)
    kept.push(field.raw.endsWith('\r\n') ? field.raw : `${field.raw.replace(/\r?\n?$/, '')}\r\n`)
  }
  return kept
}

/** The JSON text of a recipe. */
export function encodeRecipe(recipe: MimeRecipe): Uint8Array {
  return Buffer.from(JSON.stringify(recipe))
}

/** Reads a recipe from a stranger; undefined for anything that is not exactly one (then the message has none). */
export function parseRecipe(bytes: Uint8Array): MimeRecipe | undefined {
  if (bytes.length > MAX_RECIPE_BYTES) return undefined
  const value = parseJson(bytes)
  if (!isRecord(value) || value.version !== 1) return undefined
  const { header, size, sha256, segments } = value
  if (!isCount(size, MAX_BODY_BYTES) || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    return undefined
  }
  const fields = parseHeaderFields(header)
  const parsed = parseSegments(segments)
  if (fields === undefined || parsed === undefined) return undefined
  return { version: 1, header: fields, size, sha256, segments: parsed }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // Not JSON: as good as no recipe, which the caller is told by undefined.
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max
}

function isByteString(value: unknown): value is string {
  return typeof value === 'string' && /^[\u0000-\u00ff]*$/.test(value)
}

/** Each element exactly one well-formed field of an allowed name, none twice: nothing else can be smuggled in. */
function parseHeaderFields(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined
  const names = new Set<string>()
  for (const raw of value as readonly unknown[]) {
    if (!isByteString(raw) || !/^(?:[^\r\n\0]*\r\n)+$/.test(raw)) return undefined
    const fields = splitHeader(raw)
    const name = fields[0]?.name.toLowerCase() ?? ''
    if (fields.length !== 1 || fields[0]?.raw !== raw || !isRecipeField(name) || names.has(name))
      return undefined
    names.add(name)
  }
  return value as readonly string[]
}

/** Every entry once at most, so that a small message cannot grow without end. */
function parseSegments(value: unknown): readonly RecipeSegment[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_SEGMENTS) return undefined
  const used = new Set<string>()
  const segments: RecipeSegment[] = []
  for (const item of value as readonly unknown[]) {
    const segment = parseSegment(item)
    const entry = segment === undefined ? undefined : segmentEntry(segment)
    if (segment === undefined || (entry !== undefined && used.has(entry))) return undefined
    if (entry !== undefined) used.add(entry)
    segments.push(segment)
  }
  return segments
}

function parseSegment(value: unknown): RecipeSegment | undefined {
  if (!isRecord(value)) return undefined
  const { literal, base64, line, entry, skip } = value
  if (isByteString(literal)) return { literal }
  if (isEntryName(base64) && isCount(line, MAX_BASE64_LINE)) return { base64, line }
  if (isEntryName(entry) && isCount(skip, MAX_BODY_BYTES)) return { entry, skip }
  return undefined
}

/** An attachment, or a literal of ours: never HEADER.TXT, an acknowledgment or a forwarded original. */
function isEntryName(value: unknown): value is string {
  if (typeof value !== 'string' || Buffer.byteLength(value) > MAX_ENTRY_NAME_BYTES) return false
  return /^_./su.test(value) || /^MIME\.\d{1,4}$/.test(value)
}

function segmentEntry(segment: RecipeSegment): string | undefined {
  if ('base64' in segment) return segment.base64
  return 'entry' in segment ? segment.entry : undefined
}

/** The ZIP entries a recipe needs: a recipe that names one that is not there is no use. */
export function recipeEntries(recipe: MimeRecipe): readonly string[] {
  return recipe.segments.flatMap((segment) => segmentEntry(segment) ?? [])
}

/** The entries did not give the body the recipe promises; what was written of it must be thrown away. */
export class RecipeMismatchError extends Error {
  override readonly name = 'RecipeMismatchError'
}

/** Opens a ZIP entry by its exact name; rejects when it is not there. */
export type OpenEntry = (name: string) => AsyncIterable<Uint8Array>

/**
 * The original entity: the kept header fields, the empty line, the body. The receiver writes its own fields in front
 * and commits only when the stream ended well. Throws `RecipeMismatchError` at the first octet too many, or at the end.
 */
export async function* rebuildFromRecipe(
  recipe: MimeRecipe,
  openEntry: OpenEntry,
): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${recipe.header.join('')}\r\n`, 'latin1')
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of rebuildBody(recipe.segments, openEntry)) {
    size += chunk.length
    if (size > recipe.size) throw new RecipeMismatchError('the rebuilt body is longer than announced')
    hash.update(chunk)
    yield chunk
  }
  if (size !== recipe.size || hash.digest('hex') !== recipe.sha256) {
    throw new RecipeMismatchError('the rebuilt body is not the announced one')
  }
}

/** The body alone, unchecked: the sender compares it before it sends. */
export async function* rebuildBody(
  segments: readonly RecipeSegment[],
  openEntry: OpenEntry,
): AsyncGenerator<Uint8Array> {
  for (const segment of segments) {
    if ('literal' in segment) yield Buffer.from(segment.literal, 'latin1')
    else if ('base64' in segment) yield* encodeBase64Lines(openEntry(segment.base64), segment.line)
    else yield* skipBytes(openEntry(segment.entry), segment.skip)
  }
}

/**
 * A header as fields that keep their bytes (RFC 5322 2.2). Header text is held as a *byte string*, one char per
 * octet, so that nothing is lost whatever charset a sender meant; joining the fields gives the input back.
 */

/** More fields than any real message has; what follows stays one nameless field, so that joining still gives all. */
export const MAX_HEADER_FIELDS = 10_000

/** One field with its folded lines, or a run of bytes in a header that is none (`name` is then empty). */
export interface HeaderField {
  /** As written, without the blanks before the colon (RFC 5322 4.5.8); empty for a line that is no field. */
  readonly name: string
  /** Byte string: the whole field with every line break, the last included. */
  readonly raw: string
}

/** Octets as a byte string. */
function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** `ftext` of RFC 5322 2.2: printable ASCII but the colon. Anything else before the colon makes the line no field. */
const FIELD_NAME = /^([!-9;-~]+)[ \t]*:/

/**
 * Splits a header into its fields. Reading ends at the first empty line, which belongs to no field: the `raw`s
 * joined, plus that line, are the input. Lines without a colon (and mbox's "From " line) are nameless fields.
 * Lines end in LF or CRLF; a bare CR is an ordinary character.
 */
export function splitHeader(header: string | Uint8Array): readonly HeaderField[] {
  const text = typeof header === 'string' ? header : byteString(header)
  const fields: HeaderField[] = []
  let position = 0
  while (position < text.length && !isEmptyLineAt(text, position)) {
    const end = fields.length === MAX_HEADER_FIELDS ? headerEnd(text, position) : fieldEnd(text, position)
    const raw = text.slice(position, end)
    fields.push({ name: fields.length === MAX_HEADER_FIELDS ? '' : (FIELD_NAME.exec(raw)?.[1] ?? ''), raw })
    position = end
  }
  return fields
}

function isEmptyLineAt(text: string, position: number): boolean {
  return text[position] === '\n' || (text[position] === '\r' && text[position + 1] === '\n')
}

/** Where the field that starts at `position` ends: after the last line that is followed by no continuation. */
function fieldEnd(text: string, position: number): number {
  let end = lineEnd(text, position)
  while (text[end] === ' ' || text[end] === '\t') end = lineEnd(text, end)
  return end
}

function lineEnd(text: string, position: number): number {
  const lineFeed = text.indexOf('\n', position)
  return lineFeed < 0 ? text.length : lineFeed + 1
}

function headerEnd(text: string, position: number): number {
  let end = position
  while (end < text.length && !isEmptyLineAt(text, end)) end = lineEnd(text, end)
  return end
}

/** The field body unfolded (RFC 5322 2.2.3), without the blanks around it: a byte string. */
export function fieldValue(field: HeaderField): string {
  const body = field.name === '' ? field.raw : field.raw.slice(field.raw.indexOf(':') + 1)
  return trimBlanks(body.replace(/\r?\n(?=[ \t])/g, '').replace(/\r?\n$/, ''))
}

function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+/, '').replace(/(?<![ \t])[ \t]+$/, '')
}

/** All fields of that name, in either case, in order. */
export function fieldsNamed(fields: readonly HeaderField[], name: string): readonly HeaderField[] {
  const wanted = name.toLowerCase()
  return fields.filter((field) => field.name.toLowerCase() === wanted)
}

/** The unfolded body of the first field of that name, a byte string; undefined when there is none. */
export function firstValue(fields: readonly HeaderField[], name: string): string | undefined {
  const wanted = name.toLowerCase()
  const field = fields.find((candidate) => candidate.name.toLowerCase() === wanted)
  return field === undefined ? undefined : fieldValue(field)
}

/**
 * The fields whose lower-case name `keep` accepts, byte for byte, and the closing empty line: what
 * `BODY[HEADER.FIELDS (…)]` serves (RFC 9051 6.4.5). Lines that are no field are asked for with an empty name.
 */
export function filterHeader(header: Uint8Array, keep: (lowerCaseName: string) => boolean): Uint8Array {
  const kept = splitHeader(header).filter((field) => keep(field.name.toLowerCase()))
  const text = kept.map((field) => (field.raw.endsWith('\n') ? field.raw : `${field.raw}\r\n`)).join('')
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/** Replaces the bytes of the fields of that name; `undefined` removes them. Everything else stays byte for byte. */
export function replaceFields(header: Uint8Array, name: string, replacement: string | undefined): Uint8Array {
  const text = byteString(header)
  const wanted = name.toLowerCase()
  let rest = 0
  const parts: string[] = []
  let replaced = false
  for (const field of splitHeader(text)) {
    rest += field.raw.length
    if (field.name.toLowerCase() !== wanted) parts.push(field.raw)
    else if (replacement !== undefined && !replaced) {
      parts.push(replacement)
      replaced = true
    }
  }
  return Buffer.from(parts.join('') + text.slice(rest), 'latin1')
}

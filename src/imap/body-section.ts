import type { BodyPart, ByteRange } from '../mail/message-index.ts'
import type { BodySection, PartialRange } from './fetch-item.ts'

/** Where the octets of a section lie in the message (RFC 9051 6.4.5.1). */
export type SectionPlace =
  | { readonly kind: 'range'; readonly range: ByteRange }
  /** Fields picked from the header in `range`. */
  | { readonly kind: 'fields'; readonly range: ByteRange; keep(lowerCaseName: string): boolean }
  /** There is no such part, or it has no such section: NIL. */
  | { readonly kind: 'nowhere' }

const NOWHERE: SectionPlace = { kind: 'nowhere' }

/** Finds a section in a message of that structure and size. */
export function locateSection(root: BodyPart, sizeBytes: number, section: BodySection): SectionPlace {
  const { path, text } = section
  if (path.length === 0) {
    if (text === null) return { kind: 'range', range: { start: 0, end: sizeBytes } }
    return locateText({ header: root.header, text: { start: root.header.end, end: sizeBytes } }, text)
  }
  const part = findPart(root, path)
  if (part === undefined) return NOWHERE
  if (text === null) return { kind: 'range', range: part.body }
  if (text.kind === 'MIME') return { kind: 'range', range: part.header }
  // HEADER, HEADER.FIELDS and TEXT of a part are those of the message in it.
  if (part.kind !== 'message') return NOWHERE
  const { header } = part.message
  return locateText({ header, text: { start: header.end, end: part.body.end } }, text)
}

function locateText(
  message: { readonly header: ByteRange; readonly text: ByteRange },
  text: NonNullable<BodySection['text']>,
): SectionPlace {
  switch (text.kind) {
    case 'HEADER':
      return { kind: 'range', range: message.header }
    case 'TEXT':
      return { kind: 'range', range: message.text }
    case 'HEADER.FIELDS':
    case 'HEADER.FIELDS.NOT': {
      const names = new Set(text.names.map((name) => name.toLowerCase()))
      const wanted = text.kind === 'HEADER.FIELDS'
      return { kind: 'fields', range: message.header, keep: (name) => names.has(name) === wanted }
    }
    case 'MIME':
      return NOWHERE
  }
}

/** The part with that number: parts of a multipart count from 1; a message that is none has itself as part 1. */
function findPart(root: BodyPart, path: readonly number[]): BodyPart | undefined {
  let siblings = messageParts(root)
  let part: BodyPart | undefined
  for (const number of path) {
    part = siblings[number - 1]
    if (part === undefined) return undefined
    siblings = innerParts(part)
  }
  return part
}

function messageParts(message: BodyPart): readonly BodyPart[] {
  return message.kind === 'multipart' ? message.parts : [message]
}

function innerParts(part: BodyPart): readonly BodyPart[] {
  switch (part.kind) {
    case 'multipart':
      return part.parts
    case 'message':
      return messageParts(part.message)
    case 'basic':
    case 'text':
      return []
  }
}

/** The part of a range that a partial fetch names: cut at its end, empty past it (RFC 9051 6.4.5, case I07). */
export function partialOf(range: ByteRange, partial: PartialRange | null): ByteRange {
  if (partial === null) return range
  const start = Math.min(range.start + partial.origin, range.end)
  return { start, end: Math.min(start + partial.count, range.end) }
}

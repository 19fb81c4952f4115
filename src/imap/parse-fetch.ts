import {
  type BodySection,
  FETCH_MACROS,
  type FetchAttribute,
  type PartialRange,
  type SectionText,
} from './fetch-item.ts'
import { MAX_SECTION_DEPTH } from './limits.ts'
import type { Parser } from './parser.ts'

// fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
export function parseFetchAttributes(p: Parser): readonly FetchAttribute[] {
  if (p.peek('(')) return p.list(() => parseFetchAttribute(p, p.attributeName()))
  const name = p.attributeName()
  return FETCH_MACROS.get(name) ?? [parseFetchAttribute(p, name)]
}

function parseFetchAttribute(p: Parser, name: string): FetchAttribute {
  switch (name) {
    case 'UID':
    case 'FLAGS':
    case 'INTERNALDATE':
    case 'ENVELOPE':
    case 'BODYSTRUCTURE':
    case 'RFC822':
    case 'RFC822.SIZE':
    case 'RFC822.HEADER':
    case 'RFC822.TEXT':
      return { kind: name }
    case 'BODY':
      return p.peek('[') ? parseBodySection(p, false) : { kind: 'BODY' }
    case 'BODY.PEEK':
      return parseBodySection(p, true)
    default:
      throw p.fail('fetch-att')
  }
}

// "BODY" [".PEEK"] section ["<" number "." nz-number ">"]
function parseBodySection(p: Parser, peek: boolean): FetchAttribute {
  p.expect('[', 'section')
  const section = p.peek(']') ? { path: [], text: null } : parseSectionSpec(p)
  p.expect(']', 'section')
  return { kind: 'section', section, partial: p.peek('<') ? parsePartial(p) : null, peek }
}

function parsePartial(p: Parser): PartialRange {
  p.expect('<')
  const origin = p.number()
  p.expect('.')
  const count = p.nzNumber()
  p.expect('>')
  return { origin, count }
}

// section-spec = section-msgtext / (section-part ["." section-text]) ; section-part = nz-number *("." nz-number)
function parseSectionSpec(p: Parser): BodySection {
  const path: number[] = []
  if (!p.peekDigit()) return { path, text: parseSectionText(p, path) }
  for (;;) {
    if (path.length === MAX_SECTION_DEPTH) throw p.fail(`at most ${MAX_SECTION_DEPTH} part numbers`)
    path.push(p.nzNumber())
    if (!p.accept('.')) return { path, text: null }
    if (!p.peekDigit()) return { path, text: parseSectionText(p, path) }
  }
}

// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT" ; section-text = section-msgtext / "MIME"
function parseSectionText(p: Parser, path: readonly number[]): SectionText {
  const kind = p.attributeName()
  switch (kind) {
    case 'HEADER':
    case 'TEXT':
      return { kind }
    case 'MIME':
      if (path.length === 0) throw p.fail('section-msgtext')
      return { kind }
    case 'HEADER.FIELDS':
    case 'HEADER.FIELDS.NOT':
      p.sp()
      // header-list = "(" header-fld-name *(SP header-fld-name) ")" ; header-fld-name = astring
      return { kind, names: p.list(() => p.astring()) }
    default:
      throw p.fail('section-text')
  }
}

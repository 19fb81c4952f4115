/** A small, strict XML reader for BODY.XML: elements, attributes, text, the five entities and character references. */

/** Elements inside each other; the rich text of the reference nests about ten. */
const MAX_DEPTH = 64
/** Elements of one document: a paragraph of single letters in a long letter. */
const MAX_ELEMENTS = 500_000
/** Characters of one attribute; they hold colours, numbers and links. */
const MAX_ATTRIBUTE_CHARS = 8192

export type XmlAttributes = ReadonlyMap<string, string>

export interface XmlHandler {
  open(name: string, attributes: XmlAttributes): void
  close(name: string): void
  text(text: string): void
}

/** The document is not the XML we read: malformed, too deep, or with a DTD, which could define entities. */
export class XmlError extends Error {
  override readonly name = 'XmlError'
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
const REFERENCE = /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{1,8}));|&/g
const NAME = /[A-Za-z_][\w.:-]{0,63}/y
const ATTRIBUTE = /\s+([A-Za-z_][\w.:-]{0,63})\s*=\s*("[^"<]*"|'[^'<]*')/y
const TAG_END = /\s*(\/?)>/y

/** Text with its references replaced; a lone surrogate as a reference is kept, so that pairs can be joined. */
function unescapeXml(text: string): string {
  return text.replace(REFERENCE, (_all, decimal?: string, hex?: string, entity?: string) => {
    if (entity !== undefined) {
      const character = ENTITIES[entity]
      if (character === undefined) throw new XmlError('an entity that only a DTD could define')
      return character
    }
    const digits = decimal ?? hex
    if (digits === undefined) throw new XmlError('a bare ampersand')
    const code = Number.parseInt(digits, decimal === undefined ? 16 : 10)
    if (code > 0x10ffff) throw new XmlError('a character that does not exist')
    return String.fromCodePoint(code)
  })
}

class XmlReader {
  readonly #xml: string
  readonly #handler: XmlHandler
  readonly #open: string[] = []
  #position = 0
  #elements = 0

  constructor(xml: string, handler: XmlHandler) {
    this.#xml = xml
    this.#handler = handler
  }

  read(): void {
    while (this.#position < this.#xml.length) {
      const next = this.#xml.indexOf('<', this.#position)
      const end = next < 0 ? this.#xml.length : next
      if (end > this.#position) this.#text(this.#xml.slice(this.#position, end))
      this.#position = end
      if (next >= 0) this.#markup()
    }
    if (this.#open.length > 0 || this.#elements === 0) throw new XmlError('the document is not closed')
  }

  #text(raw: string): void {
    if (this.#open.length > 0) this.#handler.text(unescapeXml(raw))
    else if (raw.trim() !== '' && raw.trim() !== '\uFEFF') throw new XmlError('text outside the root')
  }

  #markup(): void {
    if (this.#skip('<!--', '-->') || this.#skip('<?', '?>')) return
    const data = this.#between('<![CDATA[', ']]>')
    if (data !== undefined) {
      if (this.#open.length === 0) throw new XmlError('text outside the root')
      this.#handler.text(data)
      return
    }
    const isEnd = this.#xml.startsWith('</', this.#position)
    this.#position += isEnd ? 2 : 1
    const name = this.#match(NAME)?.[0]
    // `<!DOCTYPE` and `<!ENTITY` end here: no declaration is ever read.
    if (name === undefined) throw new XmlError('markup that is no element')
    if (isEnd) this.#endTag(name)
    else this.#startTag(name)
  }

  #startTag(name: string): void {
    const attributes = new Map<string, string>()
    for (let match = this.#match(ATTRIBUTE); match !== null; match = this.#match(ATTRIBUTE)) {
      const [, key = '', quoted = ''] = match
      if (attributes.has(key) || quoted.length > MAX_ATTRIBUTE_CHARS) throw new XmlError('a bad attribute')
      attributes.set(key, unescapeXml(quoted.slice(1, -1)))
    }
    const end = this.#match(TAG_END)
    this.#elements += 1
    if (end === null) throw new XmlError('a tag that does not end')
    if (this.#elements > MAX_ELEMENTS || this.#open.length >= MAX_DEPTH)
      throw new XmlError('too many elements')
    this.#handler.open(name, attributes)
    if (end[1] === '/') this.#handler.close(name)
    else this.#open.push(name)
  }

  #endTag(name: string): void {
    if (this.#match(TAG_END)?.[1] !== '' || this.#open.pop() !== name) throw new XmlError('tags out of order')
    this.#handler.close(name)
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#position
    const match = pattern.exec(this.#xml)
    if (match !== null) this.#position = pattern.lastIndex
    return match
  }

  #skip(start: string, end: string): boolean {
    return this.#between(start, end) !== undefined
  }

  #between(start: string, end: string): string | undefined {
    if (!this.#xml.startsWith(start, this.#position)) return undefined
    const close = this.#xml.indexOf(end, this.#position + start.length)
    if (close < 0) throw new XmlError(`${start} without its end`)
    const inside = this.#xml.slice(this.#position + start.length, close)
    this.#position = close + end.length
    return inside
  }
}

/** Reads a whole document and tells the handler what stands in it. Throws XmlError. */
export function readXml(xml: string, handler: XmlHandler): void {
  new XmlReader(xml, handler).read()
}

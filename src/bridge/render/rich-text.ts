import { readXml, type XmlAttributes, XmlError, type XmlHandler } from './xml-reader.ts'

/** BODY.XML, the rich text of the reference's editor, as HTML (CM message 3.5). */

/** Characters of a BODY.XML we convert; beyond it BODY.HTML or the text are shown. */
const MAX_XML_CHARS = 32 * 1024 * 1024
/** Pictures of one message. */
const MAX_IMAGES = 200

export interface InlineImage {
  /** Without `<>`. */
  readonly contentId: string
  readonly mediaType: string
  readonly bytes: Uint8Array
}

export interface HtmlWithImages {
  /** The inside of a body; text escaped. Not sanitised yet. */
  readonly html: string
  readonly images: readonly InlineImage[]
}

/** `imagetype` of the reference. */
const IMAGE_TYPES: Readonly<Record<string, string>> = {
  '1': 'image/bmp',
  '11': 'image/tiff',
  '13': 'image/gif',
  '15': 'image/png',
  '17': 'image/jpeg',
}
const ALIGNMENTS: Readonly<Record<string, string>> = { '2': 'center', '3': 'right', '4': 'justify' }
/** A soft line break among the symbols. */
const SOFT_LINE_BREAK = 29

/** HTML of a BODY.XML, or undefined when it cannot be read; `contentId` names the pictures, deterministically. */
export function richTextToHtml(
  xml: string,
  contentId: (number: number) => string,
): HtmlWithImages | undefined {
  if (xml.length > MAX_XML_CHARS) return undefined
  const writer = new HtmlWriter(contentId)
  try {
    readXml(xml, writer)
  } catch (error) {
    if (error instanceof XmlError) return undefined
    throw error
  }
  return writer.documents > 0 ? { html: writer.html(), images: writer.images } : undefined
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

class HtmlWriter implements XmlHandler {
  readonly images: InlineImage[] = []
  documents = 0
  readonly #contentId: (number: number) => string
  readonly #parts: string[] = []
  /** Text of the element being read; undefined outside of `text`, `symbol` and `data`. */
  #collected: string[] | undefined
  #attributes: XmlAttributes = new Map()
  #imageType: string | undefined
  /** First half of a character that came as two symbols. */
  #highSurrogate = ''
  #paragraphWrites = 0

  constructor(contentId: (number: number) => string) {
    this.#contentId = contentId
  }

  html(): string {
    return this.#parts.join('')
  }

  open(name: string, attributes: XmlAttributes): void {
    switch (name) {
      case 'richtext':
        this.documents += 1
        break
      case 'paragraph':
        this.#openParagraph(attributes)
        break
      case 'image':
        this.#imageType = IMAGE_TYPES[attributes.get('imagetype') ?? '']
        break
      case 'text':
      case 'symbol':
      case 'data':
        this.#collected = []
        this.#attributes = attributes
        break
    }
  }

  text(text: string): void {
    this.#collected?.push(text)
  }

  close(name: string): void {
    const text = this.#collected?.join('') ?? ''
    switch (name) {
      case 'paragraph':
        // An empty paragraph is an empty line; browsers show nothing for it.
        this.#parts.push(this.#paragraphWrites > 0 ? '</p>\n' : '<br></p>\n')
        break
      case 'text':
        this.#write(unquoted(text))
        break
      case 'symbol':
        this.#symbol(Number.parseInt(text, 10))
        break
      case 'data':
        this.#image(text)
        break
    }
    if (name === 'text' || name === 'symbol' || name === 'data') this.#collected = undefined
  }

  #openParagraph(attributes: XmlAttributes): void {
    const align = ALIGNMENTS[attributes.get('alignment') ?? '']
    this.#parts.push(align === undefined ? '<p>' : `<p align="${align}">`)
    this.#paragraphWrites = 0
    const bullet = attributes.get('bulletstyle') ?? '0'
    if (!/^[1-9]\d*$/.test(bullet)) return
    const number = attributes.get('bulletnumber')
    this.#parts.push(number !== undefined && /^\d{1,6}$/.test(number) ? `${number}. ` : '• ')
  }

  #symbol(code: number): void {
    if (code === SOFT_LINE_BREAK) {
      this.#parts.push('<br>')
      this.#paragraphWrites += 1
    } else if (code >= 0xd800 && code <= 0xdbff) this.#highSurrogate = String.fromCharCode(code)
    else if (code === 9 || (code >= 32 && code <= 0x10ffff)) {
      const character = code <= 0xffff ? String.fromCharCode(code) : String.fromCodePoint(code)
      this.#write(this.#highSurrogate + character)
      this.#highSurrogate = ''
    }
  }

  #write(text: string): void {
    if (text === '') return
    this.#paragraphWrites += 1
    const clean = escapeHtml(text.toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g, ' '))
    // Blanks that HTML would fold: doubled ones and tabs.
    const kept = clean.replaceAll('\t', '&nbsp; &nbsp; ').replace(/ (?= )/g, '&nbsp;')
    this.#parts.push(styled(kept, this.#attributes))
  }

  #image(hex: string): void {
    const digits = hex.replace(/\s+/g, '')
    const mediaType = this.#imageType
    if (mediaType === undefined || this.images.length >= MAX_IMAGES || !/^(?:[0-9a-f]{2})+$/i.test(digits))
      return
    const contentId = this.#contentId(this.images.length + 1)
    this.images.push({ contentId, mediaType, bytes: Buffer.from(digits, 'hex') })
    this.#parts.push(`<img src="cid:${contentId}" alt="">`)
    this.#paragraphWrites += 1
  }
}

/** A reader drops one trailing newline, then one leading and one trailing quote (CM message 3.5). */
function unquoted(text: string): string {
  return text
    .replace(/\r?\n$/, '')
    .replace(/^"/, '')
    .replace(/"$/, '')
}

/** Points to the seven sizes of HTML, as the reference maps them (CM message 3.1). */
const SIZE_STEPS = [8, 10, 13, 17, 22, 30]

function styled(html: string, attributes: XmlAttributes): string {
  let result = html
  if (attributes.get('fontweight') === '92') result = `<b>${result}</b>`
  if (attributes.get('fontstyle') === '93') result = `<i>${result}</i>`
  if (attributes.get('fontunderlined') === '1') result = `<u>${result}</u>`
  const styles = [
    color('color', attributes.get('textcolor')),
    color('background-color', attributes.get('bgcolor')),
  ]
    .filter((style) => style !== '')
    .join(';')
  if (styles !== '') result = `<span style="${styles}">${result}</span>`
  const font = fontAttributes(attributes)
  if (font !== '') result = `<font${font}>${result}</font>`
  const url = attributes.get('url') ?? ''
  return /^(?:https?|mailto):/i.test(url) ? `<a href="${escapeHtml(url)}">${result}</a>` : result
}

function color(property: string, value: string | undefined): string {
  return value !== undefined && /^#[0-9a-f]{6}$/i.test(value) ? `${property}:${value}` : ''
}

function fontAttributes(attributes: XmlAttributes): string {
  const points = Number(attributes.get('fontpointsize') ?? Number.NaN)
  const step = SIZE_STEPS.findIndex((limit) => points <= limit)
  const size = Number.isNaN(points) ? '' : ` size="${step < 0 ? SIZE_STEPS.length + 1 : step + 1}"`
  const face = attributes.get('fontface') ?? ''
  return /^[\p{L}\p{N} ,.-]{1,80}$/u.test(face) ? `${size} face="${face}"` : size
}

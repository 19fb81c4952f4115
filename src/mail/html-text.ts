/** HTML longer than this many characters is cut before it is made readable: text for people, not for machines. */
const MAX_HTML_CHARS = 16 * 1024 * 1024

const BLOCK_TAGS = new Set(
  'address article aside blockquote dd div dl dt figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tr ul'.split(
    ' ',
  ),
)
/** Elements whose content is no text for people. */
const SILENT_TAGS = new Set([
  'script',
  'style',
  'head',
  'title',
  'template',
  'noscript',
  'svg',
  'object',
  'iframe',
])

// biome-ignore format: a table reads better in rows
const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', copy: '©', reg: '®', trade: '™', hellip: '…',
  mdash: '—', ndash: '–', lsquo: '‘', rsquo: '’', ldquo: '“', rdquo: '”', bdquo: '„', laquo: '«', raquo: '»',
  euro: '€', pound: '£', cent: '¢', yen: '¥', sect: '§', deg: '°', middot: '·', bull: '•', times: '×', szlig: 'ß',
  auml: 'ä', ouml: 'ö', uuml: 'ü', Auml: 'Ä', Ouml: 'Ö', Uuml: 'Ü', eacute: 'é', egrave: 'è', agrave: 'à', ccedil: 'ç',
  zwnj: '', zwj: '', shy: '',
}

/** A tag, a comment, a declaration or text; text ends at the next `<`. Linear: no alternative can match twice. */
const TOKEN = /<!--|<(\/?)([a-z][a-z0-9]*)|<|[^<]+/giy

/**
 * Readable plain text of HTML, lines ended by LF: block elements break lines, list items get a dash, links show their
 * target, blanks collapse outside `pre`. Scripts, styles and comments go. For BODY.TXT and SEARCH; never throws.
 */
export function htmlToText(html: string): string {
  return new HtmlReader(html.slice(0, MAX_HTML_CHARS)).read()
}

class HtmlReader {
  readonly #html: string
  #position = 0
  readonly #lines: string[] = []
  /** The line at hand in pieces: one growing string that is looked at between would be copied each time. */
  #pieces: string[] = []
  #pre = 0
  #href: string | undefined
  /** Tags without an end tag in the rest of the page. */
  readonly #endless = new Set<string>()

  constructor(html: string) {
    this.#html = html
  }

  read(): string {
    while (this.#position < this.#html.length) this.#token()
    this.#breakLine()
    const text = this.#lines.map((line) => line.trimEnd()).join('\n')
    return `${text.replace(/\n{3,}/g, '\n\n').trim()}\n`
  }

  #token(): void {
    TOKEN.lastIndex = this.#position
    const match = TOKEN.exec(this.#html)
    const text = match?.[0] ?? this.#html.slice(this.#position)
    this.#position += text.length
    const tag = match?.[2]?.toLowerCase()
    if (text === '<!--') this.#skipPast('-->')
    else if (tag !== undefined) this.#tag(tag, match?.[1] === '/')
    else if (text === '<' && /[!?]/.test(this.#html[this.#position] ?? '')) this.#skipPast('>')
    else this.#text(text)
  }

  #tag(tag: string, isEnd: boolean): void {
    const attributes = this.#attributes()
    if (SILENT_TAGS.has(tag) && !isEnd) this.#skipElement(tag)
    else if (tag === 'br') this.#breakLine()
    else if (tag === 'a') this.#link(attributes, isEnd)
    else if (tag === 'img' && !isEnd) this.#text(attributeValue(attributes, 'alt'))
    else if (tag === 'td' || tag === 'th') {
      if (isEnd) this.#pieces.push(' ')
    } else if (BLOCK_TAGS.has(tag)) this.#block(tag, isEnd)
  }

  /** Everything up to the `>` that is in no quotes. */
  #attributes(): string {
    const start = this.#position
    let quote = ''
    while (this.#position < this.#html.length) {
      const char = this.#html[this.#position] ?? ''
      this.#position++
      if (quote === '' && char === '>') return this.#html.slice(start, this.#position - 1)
      if (quote === '' && (char === '"' || char === "'")) quote = char
      else if (char === quote) quote = ''
    }
    return this.#html.slice(start)
  }

  #skipPast(mark: string): void {
    const found = this.#html.indexOf(mark, this.#position)
    this.#position = found < 0 ? this.#html.length : found + mark.length
  }

  #skipElement(tag: string): void {
    const end = new RegExp(`</${tag}[^a-z0-9]`, 'gi')
    end.lastIndex = this.#position
    const match = this.#endless.has(tag) ? null : end.exec(this.#html)
    if (match === null) {
      // Looked for once: a page of nothing but start tags must not be searched to its end for each.
      this.#endless.add(tag)
      return
    }
    this.#position = match.index + match[0].length - 1
    this.#skipPast('>')
  }

  #link(attributes: string, isEnd: boolean): void {
    if (!isEnd) {
      const href = attributeValue(attributes, 'href')
      this.#href = /^(?:https?|mailto):/i.test(href) ? href : undefined
      return
    }
    const href = this.#href
    this.#href = undefined
    const isShown = this.#pieces.at(-1)?.endsWith(href?.replace(/^mailto:/i, '') ?? '') === true
    if (href !== undefined && !isShown) this.#pieces.push(` <${href}>`)
  }

  #block(tag: string, isEnd: boolean): void {
    if (tag === 'hr' || this.#pieces.some((piece) => piece.trim() !== '')) this.#breakLine()
    else this.#pieces = []
    if (/^(?:p|h\d|ul|ol|table|blockquote|pre)$/.test(tag) && this.#lines.at(-1) !== '') this.#lines.push('')
    if (tag === 'li' && !isEnd) this.#pieces = ['- ']
    if (tag === 'pre') this.#pre = Math.max(0, this.#pre + (isEnd ? -1 : 1))
  }

  #text(raw: string): void {
    const text = decodeEntities(raw)
    if (this.#pre > 0) {
      const [first = '', ...rest] = text.replace(/\r\n?/g, '\n').split('\n')
      this.#pieces.push(first)
      for (const line of rest) {
        this.#breakLine()
        this.#pieces.push(line)
      }
      return
    }
    const collapsed = text.replace(/[ \t\r\n\f]+/g, ' ')
    const isAfterBlank = this.#pieces.at(-1)?.endsWith(' ') ?? true
    const piece = isAfterBlank ? collapsed.trimStart() : collapsed
    if (piece !== '') this.#pieces.push(piece)
  }

  #breakLine(): void {
    this.#lines.push(this.#pieces.join(''))
    this.#pieces = []
  }
}

function attributeValue(attributes: string, name: string): string {
  const match = new RegExp(`(?:^|\\s)${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, 'i').exec(
    attributes,
  )
  return decodeEntities(match?.[1] ?? match?.[2] ?? match?.[3] ?? '').trim()
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));?/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name as string] ?? whole
    const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal)
    const isCharacter = code > 0 && code <= 0x10_ff_ff && !(code >= 0xd8_00 && code <= 0xdf_ff)
    return isCharacter ? String.fromCodePoint(code) : '�'
  })
}

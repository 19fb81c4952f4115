import sanitize from 'sanitize-html'
import { htmlToText } from '../mail/html-text.ts'

/** HTML longer than this many characters is cut first: it is parsed in one go, about 4 characters a microsecond. */
const MAX_HTML_CHARS = 4 * 1024 * 1024
/** Elements inside each other; mail nests tables, not hundreds of them. */
const MAX_NESTING = 200
/** Tags open at once. The parser's time grows with the square of it, so a page with more is shown as its text. */
const MAX_OPEN_TAGS = 2_000

export interface SanitizeOptions {
  /** Keeps `<img src="cid:…">` (pictures that are parts of the message); all others become their text. */
  readonly allowCidImages?: boolean
}

/** What the reference client's viewer knows (CM message 3.3), which is also all that mail needs. */
const TAGS =
  'a address b big blockquote br center cite code dd div dl dt em font h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre samp small span strike s strong sub sup table tbody tfoot thead td th tr tt u ul'.split(
    ' ',
  )

const COLOR = [/^#[0-9a-f]{3,6}$/i, /^[a-z]{3,20}$/i, /^rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)$/i]

const BASE_OPTIONS: sanitize.IOptions = {
  allowedTags: TAGS,
  allowedAttributes: {
    a: ['href'],
    font: ['color', 'size', 'face'],
    td: ['colspan', 'rowspan', 'align', 'valign', 'bgcolor', 'width'],
    th: ['colspan', 'rowspan', 'align', 'valign', 'bgcolor', 'width'],
    table: ['border', 'cellpadding', 'cellspacing', 'width', 'align', 'bgcolor'],
    p: ['align', 'style'],
    div: ['align', 'style'],
    span: ['style'],
    ol: ['start', 'type'],
  },
  allowedStyles: {
    '*': {
      color: COLOR,
      'background-color': COLOR,
      'text-align': [/^(?:left|right|center|justify)$/],
      'font-weight': [/^(?:bold|normal|[1-9]00)$/],
      'font-style': [/^(?:italic|normal)$/],
      'text-decoration': [/^(?:underline|line-through|none)$/],
    },
  },
  allowedSchemes: ['http', 'https', 'mailto'],
  allowedSchemesAppliedToAttributes: ['href'],
  allowProtocolRelative: false,
  nestingLimit: MAX_NESTING,
  nonTextTags: [
    'script',
    'style',
    'textarea',
    'option',
    'noscript',
    'title',
    'template',
    'svg',
    'iframe',
    'object',
  ],
}

/**
 * HTML with harmless tags only: no scripts, styles, forms, frames, remote or local pictures, `file:` or other schemes;
 * text escaped (CM message 3.6, 3.7). A picture becomes `[its alternative text]`. Gives the inside of a body.
 */
export function sanitizeHtml(html: string, options: SanitizeOptions = {}): string {
  const input = html.slice(0, MAX_HTML_CHARS)
  if (hasTooManyOpenTags(input)) return `<pre>${escapeText(htmlToText(input))}</pre>`
  if (options.allowCidImages !== true) {
    return sanitize(input, { ...BASE_OPTIONS, transformTags: { img: pictureText } })
  }
  return sanitize(input, {
    ...BASE_OPTIONS,
    allowedTags: [...TAGS, 'img'],
    allowedAttributes: { ...BASE_OPTIONS.allowedAttributes, img: ['src', 'alt', 'width', 'height'] },
    allowedSchemesByTag: { img: ['cid'] },
    allowedSchemesAppliedToAttributes: ['href', 'src'],
    transformTags: {
      img: (tagName, attributes) =>
        /^cid:/i.test(attributes.src ?? '')
          ? { tagName, attribs: attributes }
          : pictureText(tagName, attributes),
    },
  })
}

function pictureText(_tagName: string, attributes: Readonly<Partial<Record<string, string>>>): sanitize.Tag {
  const alternative = attributes.alt?.trim() ?? ''
  return { tagName: 'span', attribs: {}, text: alternative === '' ? '' : `[${alternative}]` }
}

const VOID_TAGS = new Set('area base br col embed hr img input link meta param source track wbr'.split(' '))
/** Tags that end an open one of the same name, so that authors leave the end tags out. */
const SELF_ENDING_TAGS = new Set('p li td th tr dt dd option'.split(' '))

/** Counts roughly what the parser keeps open; script text and comments only make it stricter. */
function hasTooManyOpenTags(html: string): boolean {
  const openByTag = new Map<string, number>()
  let open = 0
  let last = ''
  for (const match of html.matchAll(/<(\/?)([a-z][a-z0-9]*)/gi)) {
    const tag = (match[2] ?? '').toLowerCase()
    if (VOID_TAGS.has(tag)) continue
    const count = openByTag.get(tag) ?? 0
    const isEnd = match[1] === '/'
    const change = isEnd ? -Math.min(count, 1) : Number(tag !== last || !SELF_ENDING_TAGS.has(tag))
    openByTag.set(tag, count + change)
    open += change
    if (open > MAX_OPEN_TAGS) return true
    last = isEnd ? '' : tag
  }
  return false
}

function escapeText(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

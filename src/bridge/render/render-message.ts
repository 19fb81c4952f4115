import { safeAttachmentNames } from '../../cm/message/attachment-name.ts'
import { formatMailDate } from '../../mail/date.ts'
import { encodeAddressField, encodeTextField } from '../../mail/encode-field.ts'
import { fieldsNamed, splitHeader } from '../../mail/header.ts'
import { htmlToText } from '../../mail/html-text.ts'
import { parseMessageIds } from '../../mail/message-id.ts'
import { type MimeRecipe, type OpenEntry, rebuildFromRecipe } from '../mime/mime-recipe.ts'
import { sanitizeHtml } from '../sanitize-html.ts'
import { encodeParty, type Party } from './display-name.ts'
import { type IncomingOrigin, type IncomingVerdict, incomingFields, warningOf } from './incoming-headers.ts'
import { takeDataImages } from './inline-images.ts'
import { mediaTypeOf } from './media-type.ts'
import { type MimePart, writeEntity } from './mime-writer.ts'
import { type HtmlWithImages, richTextToHtml } from './rich-text.ts'

/** CM → MIME, the inbound half (design 8.6, 10; CM message 3.6): what IMAP serves for a message, once and for ever. */

interface RenderedAttachment {
  readonly name: string
  readonly open: () => AsyncIterable<Uint8Array>
}

/** Everything a rendered message depends on: the same input gives the same octets. */
export interface MessageToRender {
  readonly from: Party
  readonly to: readonly Party[]
  readonly cc: readonly Party[]
  /** Only the account's own line is shown (design 7.6). */
  readonly ownBcc: readonly Party[]
  readonly subject: string
  /** The header's Date, else the time of arrival. */
  readonly dateMs: number
  /** 40 hex digits; undefined when the message has none, then its announcement id stands for it. */
  readonly messageUniqueId: string | undefined
  /** Message-IDs with `<>` of what this answers, from the table of ids we have seen (design 10). */
  readonly replyToIds: readonly string[]
  readonly bodyText: string | undefined
  readonly bodyHtml: string | undefined
  readonly bodyXml: string | undefined
  readonly attachments: readonly RenderedAttachment[]
  /** The original of a signed forward, with its own verdict (design 8.7). */
  readonly forwarded?: MessageToRender
  /** Used only when the verdict lets everything be shown and no original is forwarded (design 7.7). */
  readonly recipe?: { readonly recipe: MimeRecipe; readonly openEntry: OpenEntry }
  readonly verdict: IncomingVerdict
  readonly origin: IncomingOrigin
  /** Whether From always ends in the fingerprint, or only when the message is not verified (design 10). */
  readonly fingerprint: 'always' | 'unless-verified'
}

/** Originals inside originals that are shown; deeper ones stay in the ZIP. */
export const MAX_FORWARD_DEPTH = 5
/** Characters of a Subject; the rest of a longer one is cut, as no list shows it. */
const MAX_SUBJECT_CHARS = 10_000

/**
 * The octets of the message. A recipe that does not fit throws `RecipeMismatchError` in mid-stream: the caller spools,
 * throws the spool away and renders again without the recipe.
 */
export async function* renderMessage(message: MessageToRender): AsyncGenerator<Uint8Array> {
  const showsEverything = message.verdict.show === 'everything'
  // A recipe knows nothing of an original with a verdict of its own: then the parts are shown.
  if (message.recipe !== undefined && showsEverything && message.forwarded === undefined) {
    const { recipe, openEntry } = message.recipe
    const kept = splitHeader(recipe.header.join(''))
    const isKept = (name: string) => fieldsNamed(kept, name).length > 0
    yield Buffer.from(ownHeader(message, isKept), 'latin1')
    yield* rebuildFromRecipe(recipe, openEntry)
    return
  }
  yield* renderFromParts(message, 0)
}

async function* renderFromParts(message: MessageToRender, depth: number): AsyncGenerator<Uint8Array> {
  const header = ownHeader(message, () => false)
  yield Buffer.from(`${header}MIME-Version: 1.0\r\n`, 'latin1')
  yield* writeEntity(bodyOf(message, depth), `${uniqueId(message)}:${message.origin.messageId}:${depth}`)
}

function uniqueId(message: MessageToRender): string {
  return message.messageUniqueId ?? message.origin.messageId
}

/** The bridge's fields, then the message's; `isKept` names those that the recipe brings itself. */
function ownHeader(message: MessageToRender, isKept: (name: string) => boolean): string {
  const fingerprint = message.fingerprint === 'always' || message.verdict.reason !== 'verified'
  // What an unverified From says stands for nobody, so it is not set beside the name of a key.
  const showsText = message.verdict.reason === 'verified'
  const replyToIds = message.replyToIds
    .flatMap((id) => parseMessageIds(id))
    .filter((id) => /^[!-~]+$/.test(id))
  const fields: readonly (readonly [name: string, field: string])[] = [
    ['From', encodeAddressField('From', [encodeParty(message.from, { fingerprint, showsText })])],
    ['To', recipientsField('To', message.to)],
    ['Cc', message.cc.length === 0 ? '' : recipientsField('Cc', message.cc)],
    ['Bcc', message.ownBcc.length === 0 ? '' : recipientsField('Bcc', message.ownBcc)],
    ['Subject', encodeTextField('Subject', message.subject.slice(0, MAX_SUBJECT_CHARS))],
    ['Date', `Date: ${formatMailDate(message.dateMs)}\r\n`],
    ['Message-ID', `Message-ID: <${uniqueId(message)}@cm.invalid>\r\n`],
    ['In-Reply-To', idsField('In-Reply-To', replyToIds.slice(0, 1))],
    ['References', idsField('References', replyToIds)],
  ]
  const own = fields.map(([name, field]) => (isKept(name) ? '' : field)).join('')
  return incomingFields(message.verdict, message.origin) + own
}

/** Names of recipients are the sender's word: no fingerprint stands beside them that a reply could take for a pin. */
function recipientsField(name: string, parties: readonly Party[]): string {
  if (parties.length === 0) return `${name}: undisclosed-recipients:;\r\n`
  return encodeAddressField(
    name,
    parties.map((party) => encodeParty(party, { fingerprint: false })),
  )
}

function idsField(name: string, ids: readonly string[]): string {
  return ids.length === 0 ? '' : `${name}: ${ids.join('\r\n ')}\r\n`
}

/** mixed( alternative( plain, related( html, pictures ) ), attachments ), each level only where it is needed. */
function bodyOf(message: MessageToRender, depth: number): MimePart {
  const text = textBody(message)
  const names = safeAttachmentNames(message.attachments.map((attachment) => attachment.name))
  const files = message.attachments.map((attachment, index): MimePart => {
    const fileName = names[index] ?? 'attachment'
    return { kind: 'file', mediaType: mediaTypeOf(fileName), fileName, open: attachment.open }
  })
  const { forwarded } = message
  if (forwarded !== undefined && depth < MAX_FORWARD_DEPTH) {
    files.push({
      kind: 'message',
      fileName: 'forwarded message.eml',
      open: () => renderFromParts(forwarded, depth + 1),
    })
  }
  return files.length === 0 ? text : { kind: 'multipart', subtype: 'mixed', parts: [text, ...files] }
}

function textBody(message: MessageToRender): MimePart {
  const rich = htmlOf(message)
  const text: MimePart = { kind: 'text', subtype: 'plain', text: plainText(message, rich) }
  if (rich === undefined || message.verdict.show !== 'everything') return text
  const page = `<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n${rich.html}\n</body></html>\n`
  const html: MimePart = { kind: 'text', subtype: 'html', text: page }
  const images = rich.images.map(
    (image): MimePart => ({
      kind: 'file',
      mediaType: image.mediaType,
      fileName: '',
      contentId: image.contentId,
      open: () => once(image.bytes),
    }),
  )
  const related: MimePart =
    images.length === 0 ? html : { kind: 'multipart', subtype: 'related', parts: [html, ...images] }
  return { kind: 'multipart', subtype: 'alternative', parts: [text, related] }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Sanitised HTML from BODY.XML, which is escaped properly, else from BODY.HTML, which is not (CM message 3.1, 3.6). */
function htmlOf(message: MessageToRender): HtmlWithImages | undefined {
  const contentId = (number: number) => `image${number}.${uniqueId(message)}@cm.invalid`
  const source =
    (message.bodyXml === undefined ? undefined : richTextToHtml(message.bodyXml, contentId)) ??
    (message.bodyHtml === undefined ? undefined : takeDataImages(message.bodyHtml, contentId))
  if (source === undefined) return undefined
  return { html: sanitizeHtml(source.html, { allowCidImages: true }), images: source.images }
}

function plainText(message: MessageToRender, rich: HtmlWithImages | undefined): string {
  const text = message.bodyText ?? (rich === undefined ? '' : htmlToText(rich.html))
  return message.verdict.show === 'everything' ? text : `${marker(message.verdict)}\n\n${text}`
}

/** Stands above the text of every message that is not verified (design 8.6). */
function marker(verdict: IncomingVerdict): string {
  return `[Confidant Bridge: ${warningOf(verdict) ?? 'This message could not be verified.'}]`
}

import { safeAttachmentNames } from '../../cm/message/attachment-name.ts'
import { type LeafPart, readPartText, readSourceText } from '../../mail/decode-part.ts'
import { decodeHeaderText } from '../../mail/encoded-words.ts'
import { firstValue, splitHeader } from '../../mail/header.ts'
import { parseMessageIds } from '../../mail/message-id.ts'
import type { BodyPart } from '../../mail/message-index.ts'
import { sanitizeHtml } from '../sanitize-html.ts'
import { buildRecipe, type ExtraEntry } from './build-recipe.ts'
import { withoutDoubledCalendars } from './doubled-calendars.ts'
import { type FilePlan, MAX_BODY_TEXT_BYTES, planParts, type TextSection } from './plan-parts.ts'
import { proposedName } from './proposed-name.ts'
import { Spool } from './spool-file.ts'
import { type MessageSource, type SpooledPart, spoolPart } from './spool-parts.ts'

/**
 * MIME → CM, the outbound half (design 7.4–7.8, CM message 3.7): a message becomes text, perhaps HTML, and files, and
 * a recipe from which another bridge rebuilds it octet for octet.
 */

interface OutgoingAttachment {
  /** Safe and unique in the message; the entry in the ZIP is this with `_` in front. */
  readonly name: string
  /** A file in the work directory. */
  readonly path: string
  readonly size: number
}

/** What a CM message is made of besides its addresses and keys. */
export interface OutgoingContent {
  /** One line, decoded. */
  readonly subject: string
  /** LF, no NUL, ends in LF unless empty. */
  readonly bodyText: string
  /** A complete sanitised page; null when the sender wrote none. */
  readonly bodyHtml: string | null
  readonly attachments: readonly OutgoingAttachment[]
  /** `MIME.JSON` and its literals: ZIP entries under exactly these names. */
  readonly extraEntries: readonly ExtraEntry[]
  /** With `<>`, byte string; null when there is none. */
  readonly messageId: string | null
  /** What this answers, likeliest first: In-Reply-To, then References from the last to the first. */
  readonly replyToIds: readonly string[]
  /** The sender's Date, or null when it cannot be read. */
  readonly dateMs: number | null
}

/** Text that stands in for a message only its recipient's mail program can open. */
const ENCRYPTED_NOTE =
  'This message is encrypted. The attachment holds it whole; open it with a mail program.\n'

/**
 * Converts an accepted message. Decoded parts are written to `workDirectory`, which must be new and empty and whose
 * removal is the caller's. Never fails for what the message holds. A part that is left out goes another way: then there is
 * no recipe, which could not be without it.
 */
export async function convertMimeToCm(
  source: MessageSource,
  workDirectory: string,
  leftOut?: BodyPart,
): Promise<OutgoingContent> {
  const spool = new Spool(workDirectory)
  const plan = planParts(source.index.structure)
  const kept = plan.files.filter(({ part }) => part !== leftOut)
  const files = await withoutDoubledCalendars(source, kept)
  const spooled: SpooledPart[] = []
  for (const file of files) spooled.push(await spoolPart(source, file, spool))
  const names = safeAttachmentNames(files.map(proposedName))
  const attachments = spooled.map(({ path, size }, index) => ({ name: names[index] ?? '', path, size }))
  const recipeParts = spooled.flatMap(({ path, size, rebuild }, index) =>
    rebuild === null ? [] : [{ entryName: `_${names[index] ?? ''}`, content: { path, size }, rebuild }],
  )
  const bodyText = await plainBody(source, plan.sections)
  return {
    ...threadOf(source),
    bodyText: bodyText === '' && files.some(isEncrypted) ? ENCRYPTED_NOTE : bodyText,
    bodyHtml: await htmlBody(source, plan.sections),
    attachments,
    extraEntries: leftOut === undefined ? await buildRecipe(source, recipeParts, spool) : [],
  }
}

function threadOf({
  index,
}: MessageSource): Pick<OutgoingContent, 'subject' | 'messageId' | 'replyToIds' | 'dateMs'> {
  const { envelope, headerBytes, dateMs } = index
  const references = parseMessageIds(firstValue(splitHeader(headerBytes), 'references') ?? '').toReversed()
  return {
    subject: decodeHeaderText(envelope.subject ?? '').trim(),
    messageId: parseMessageIds(envelope.messageId ?? '')[0] ?? null,
    replyToIds: [...new Set([...parseMessageIds(envelope.inReplyTo ?? ''), ...references])],
    dateMs,
  }
}

async function plainBody(source: MessageSource, sections: readonly TextSection[]): Promise<string> {
  const texts: string[] = []
  for (const part of sections.flatMap((section) => section.text)) {
    const text = await readPartText(source.openRange(part.body), part, MAX_BODY_TEXT_BYTES)
    // The line break before a delimiter belongs to it, so the last line of a part has lost its own.
    if (text !== '') texts.push(text.endsWith('\n') ? text : `${text}\n`)
  }
  return texts.join('\n')
}

async function htmlBody(source: MessageSource, sections: readonly TextSection[]): Promise<string | null> {
  if (!sections.some((section) => section.html !== null)) return null
  const pieces: string[] = []
  for (const part of sections.flatMap((section) => section.html ?? section.text)) {
    pieces.push(await htmlPiece(source, part))
  }
  return `<html><head></head><body>${pieces.join('\n')}</body></html>\n`
}

async function htmlPiece(source: MessageSource, part: LeafPart): Promise<string> {
  const range = source.openRange(part.body)
  if (part.subtype === 'html') return sanitizeHtml(await readSourceText(range, part, MAX_BODY_TEXT_BYTES))
  return plainToHtml(await readPartText(range, part, MAX_BODY_TEXT_BYTES))
}

function plainToHtml(text: string): string {
  const escaped = text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
  return `<p>${escaped.trimEnd().replaceAll('\n', '<br>\n')}</p>`
}

function isEncrypted({ part }: FilePlan): boolean {
  return part.kind === 'multipart' && part.subtype === 'encrypted'
}

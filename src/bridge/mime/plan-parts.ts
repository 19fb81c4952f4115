import type { LeafPart } from '../../mail/decode-part.ts'
import { partFileName } from '../../mail/file-name.ts'
import type { BodyPart } from '../../mail/message-index.ts'
import { parameterValue } from '../../mail/parameters.ts'

/**
 * Which parts of a message become BODY.TXT and BODY.HTML and which travel as files (CM message 3.7): pure, from the
 * structure alone.
 */
export interface PartPlan {
  readonly sections: readonly TextSection[]
  readonly files: readonly FilePlan[]
}

/** One stretch of text: what stands for it as plain text, and as HTML when the sender wrote any. */
export interface TextSection {
  readonly text: readonly LeafPart[]
  /** Null when the sender wrote plain text only. */
  readonly html: readonly LeafPart[] | null
}

export interface FilePlan {
  readonly part: BodyPart
  /** `content`: the decoded body. `entity`: header and body as they stand (signed and encrypted parts). */
  readonly as: 'content' | 'entity'
  /** As the sender named it; undefined when not at all. */
  readonly fileName: string | undefined
  /** A calendar that is an alternative of the text: only needed when no equal file is there (case M22). */
  readonly isAlternativeCalendar?: boolean
}

/** Encoded octets of a text part that is still read as a body; longer text travels as a file. */
export const MAX_BODY_TEXT_BYTES = 16 * 1024 * 1024
/** The same for HTML, which takes far longer to read (see `sanitizeHtml`). */
const MAX_BODY_HTML_BYTES = 2 * 1024 * 1024

const NOTHING: PartPlan = { sections: [], files: [] }

/** Plans a whole message. */
export function planParts(root: BodyPart): PartPlan {
  return planPart(root, true)
}

/** `mayBeBody` is false once text came before: then a text part with a file name is a file. */
function planPart(part: BodyPart, mayBeBody: boolean): PartPlan {
  switch (part.kind) {
    case 'multipart':
      return planMultipart(part, mayBeBody)
    case 'message':
      return filePlan(part)
    case 'basic':
      return filePlan(part)
    case 'text':
      return isBodyText(part, mayBeBody) ? { sections: [textSection(part)], files: [] } : filePlan(part)
  }
}

function filePlan(part: BodyPart): PartPlan {
  return { sections: [], files: [{ part, as: 'content', fileName: partFileName(part) }] }
}

function isBodyText(part: LeafPart, mayBeBody: boolean): boolean {
  const isReadable = part.subtype === 'plain' || part.subtype === 'html'
  const isFile = part.disposition?.type === 'attachment' || (partFileName(part) !== undefined && !mayBeBody)
  const maxBytes = part.subtype === 'html' ? MAX_BODY_HTML_BYTES : MAX_BODY_TEXT_BYTES
  return isReadable && !isFile && part.body.end - part.body.start <= maxBytes
}

function textSection(part: LeafPart): TextSection {
  return { text: [part], html: part.subtype === 'html' ? [part] : null }
}

function planMultipart(part: Extract<BodyPart, { kind: 'multipart' }>, mayBeBody: boolean): PartPlan {
  switch (part.subtype) {
    case 'alternative':
      return planAlternative(part.parts, mayBeBody)
    case 'related':
      return planRelated(part.parts, rootOfRelated(part), mayBeBody)
    case 'signed': {
      const [signed] = part.parts
      const readable = signed === undefined ? NOTHING : planPart(signed, mayBeBody)
      return {
        sections: readable.sections,
        files: [...readable.files, entityPlan(part, 'signed message.eml')],
      }
    }
    case 'encrypted':
      return { sections: [], files: [entityPlan(part, 'encrypted message.eml')] }
    default:
      return planMixed(part.parts, mayBeBody)
  }
}

function entityPlan(part: BodyPart, fileName: string): FilePlan {
  return { part, as: 'entity', fileName }
}

function planMixed(parts: readonly BodyPart[], mayBeBody: boolean): PartPlan {
  const sections: TextSection[] = []
  const files: FilePlan[] = []
  for (const part of parts) {
    const plan = planPart(part, mayBeBody && sections.length === 0)
    sections.push(...plan.sections)
    files.push(...plan.files)
  }
  return { sections, files }
}

/** RFC 2387 3.2: the `start` parameter names the root by Content-ID, else it is the first part. */
function rootOfRelated(part: Extract<BodyPart, { kind: 'multipart' }>): BodyPart | undefined {
  const start = parameterValue(part.parameters, 'start')
  return part.parts.find((child) => start !== undefined && child.contentId === start) ?? part.parts[0]
}

function planRelated(parts: readonly BodyPart[], root: BodyPart | undefined, mayBeBody: boolean): PartPlan {
  const sections: TextSection[] = []
  const files: FilePlan[] = []
  for (const part of parts) {
    const plan = part === root ? planPart(part, mayBeBody) : asFiles(part)
    sections.push(...plan.sections)
    files.push(...plan.files)
  }
  return { sections, files }
}

/** Pictures and the like beside the root of a related multipart: none of them is body text. */
function asFiles(part: BodyPart): PartPlan {
  if (part.kind !== 'multipart') return filePlan(part)
  return { sections: [], files: part.parts.flatMap((child) => asFiles(child).files) }
}

/** RFC 2046 5.1.4: the alternatives say the same, the last one best. One section: the plain one, and the HTML one. */
function planAlternative(parts: readonly BodyPart[], mayBeBody: boolean): PartPlan {
  const plans = parts.map((part) => planPart(part, mayBeBody))
  const plain = plans.find((plan) => plan.sections.length > 0 && !hasHtml(plan))
  const html = plans.findLast(hasHtml)
  const files = plans.flatMap((plan, index) => {
    const calendar = parts[index]
    const isCalendar = calendar?.type === 'text' && calendar.subtype === 'calendar'
    return plan.files.map((file) => (isCalendar ? { ...file, isAlternativeCalendar: true } : file))
  })
  const section = {
    text: (plain ?? html)?.sections.flatMap((each) => each.text) ?? [],
    html: html?.sections.flatMap((each) => each.html ?? each.text) ?? null,
  }
  return { sections: section.text.length === 0 ? [] : [section], files }
}

function hasHtml(plan: PartPlan): boolean {
  return plan.sections.some((section) => section.html !== null)
}

import { buildEnvelope } from './envelope.ts'
import type { HeaderField } from './header.ts'
import type { BodyPart } from './message-index.ts'
import type { PartHeader } from './part-header.ts'

/** A part whose end has not come yet. */
export interface OpenPart {
  readonly headerStart: number
  readonly defaultType: 'text/plain' | 'message/rfc822'
  fields: readonly HeaderField[]
  /** Undefined until the header has ended. */
  header: PartHeader | undefined
  bodyStart: number
  /** Line feeds of the message before the body. */
  lineFeedsBefore: number
  /** Of a multipart that is looked into. */
  boundary: string | undefined
  /** The closing delimiter has come: what follows is epilogue. */
  isClosed: boolean
  /** An embedded message that is looked into: its only child. */
  isMessage: boolean
  /** Header of the embedded message. */
  embeddedFields: readonly HeaderField[]
  readonly children: BodyPart[]
}

/** A part that begins with its header at that offset. */
export function openPart(headerStart: number, defaultType: OpenPart['defaultType']): OpenPart {
  return {
    headerStart,
    defaultType,
    fields: [],
    header: undefined,
    bodyStart: headerStart,
    lineFeedsBefore: 0,
    boundary: undefined,
    isClosed: false,
    isMessage: false,
    embeddedFields: [],
    children: [],
  }
}

/** The finished part; `end` is the octet after its content. */
export function closePart(
  part: OpenPart,
  at: { readonly end: number; readonly lineFeeds: number },
): BodyPart {
  const header = part.header
  if (header === undefined) throw new Error('a part is closed before its header')
  const { encoding, ...described } = header
  const base = {
    ...described,
    header: { start: part.headerStart, end: part.bodyStart },
    body: { start: part.bodyStart, end: at.end },
  }
  const lines = Math.max(0, at.lineFeeds - part.lineFeedsBefore)
  const message = part.children[0]
  if (part.isMessage && message !== undefined) {
    return {
      ...base,
      kind: 'message',
      encoding,
      lines,
      envelope: buildEnvelope(part.embeddedFields),
      message,
    }
  }
  if (part.boundary !== undefined && message !== undefined) {
    return { ...base, kind: 'multipart', parts: part.children }
  }
  return { ...base, ...leafType(header), encoding, lines }
}

/**
 * What a leaf is shown as. A multipart without any part is text, so that its text can be read; a message/rfc822 that
 * cannot be looked into (RFC 2046 5.2.1 forbids to encode one, case M25) is a file, since BODYSTRUCTURE would have to
 * show its envelope.
 */
function leafType(
  header: PartHeader,
): Pick<BodyPart, 'type' | 'subtype' | 'parameters'> & { readonly kind: 'basic' | 'text' } {
  const { type, subtype, parameters } = header
  if (type === 'multipart') return { kind: 'text', type: 'text', subtype: 'plain', parameters: [] }
  if (type === 'message' && subtype === 'rfc822') {
    return { kind: 'basic', type: 'application', subtype: 'octet-stream', parameters }
  }
  return { kind: type === 'text' ? 'text' : 'basic', type, subtype, parameters }
}

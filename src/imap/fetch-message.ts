import type { FetchAttribute } from './fetch-item.ts'
import type { MessageContent } from './message-content.ts'
import type { MessageRecord } from './port.ts'
import type { BodyContent, FetchItem } from './response.ts'

/** The items of one message. UID comes first where it is asked for, or the command is UID FETCH (case I14). */
export async function fetchItems(
  record: MessageRecord,
  attributes: readonly FetchAttribute[],
  content: MessageContent,
): Promise<readonly FetchItem[]> {
  const items: FetchItem[] = []
  for (const attribute of attributes) items.push(await fetchItem(record, attribute, content))
  return items
}

async function fetchItem(
  record: MessageRecord,
  attribute: FetchAttribute,
  content: MessageContent,
): Promise<FetchItem> {
  const { index } = record
  const text = (kind: 'HEADER' | 'TEXT'): Promise<BodyContent> =>
    content.section({ path: [], text: { kind } }, null)
  switch (attribute.kind) {
    case 'UID':
      return { kind: 'UID', uid: record.uid }
    case 'FLAGS':
      return { kind: 'FLAGS', flags: record.flags }
    case 'INTERNALDATE':
      return { kind: 'INTERNALDATE', date: record.internalDate }
    case 'RFC822.SIZE':
      return { kind: 'RFC822.SIZE', size: index.size }
    case 'ENVELOPE':
      return { kind: 'ENVELOPE', envelope: index.envelope }
    case 'BODY':
    case 'BODYSTRUCTURE':
      return { kind: attribute.kind, structure: index.structure }
    case 'RFC822':
      return { kind: 'RFC822', content: await content.section({ path: [], text: null }, null) }
    case 'RFC822.HEADER':
      return { kind: 'RFC822.HEADER', content: await text('HEADER') }
    case 'RFC822.TEXT':
      return { kind: 'RFC822.TEXT', content: await text('TEXT') }
    case 'section': {
      const { section, partial } = attribute
      const origin = partial === null ? null : partial.origin
      return { kind: 'section', section, origin, content: await content.section(section, partial) }
    }
  }
}

/** True when the view alone can answer: no record has to be loaded. */
export function needsOnlyView(attributes: readonly FetchAttribute[]): boolean {
  return attributes.every(({ kind }) => kind === 'UID' || kind === 'FLAGS')
}

/** UID first and always there in a UID command. */
export function orderAttributes(
  attributes: readonly FetchAttribute[],
  isUid: boolean,
): readonly FetchAttribute[] {
  const rest = attributes.filter(({ kind }) => kind !== 'UID')
  const isAsked = isUid || rest.length < attributes.length
  return isAsked ? [{ kind: 'UID' }, ...rest] : rest
}

import { unreachable } from '../base/unreachable.ts'
import type { Flag } from '../mail/flags.ts'
import { isAstringAtom } from './abnf.ts'
import { encodeBody, encodeEnvelope, encodeString } from './encode-body-structure.ts'
import type { BodySection } from './fetch-item.ts'
import { HIERARCHY_DELIMITER } from './mailbox-name.ts'
import { encodeModifiedUtf7 } from './modified-utf7.ts'
import type { BodyContent, FetchItem, Response, ResponseCode, TaggedReply } from './response.ts'
import { formatUidSet } from './sequence-set.ts'

/** A piece of a response: a byte string, octets, or `size` octets that are still to be read. */
export type Piece =
  | string
  | Uint8Array
  | { readonly size: number; readonly chunks: AsyncIterable<Uint8Array> }

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Spells a response by the grammar of RFC 9051 9, CRLF included. Throws when a text or atom holds what could break its line. */
export function encodeResponse(response: Response): readonly Piece[] {
  return response.kind === 'FETCH' ? encodeFetch(response) : [`${encodeLine(response)}\r\n`]
}

function encodeLine(response: Exclude<Response, { readonly kind: 'FETCH' }>): string {
  switch (response.kind) {
    case 'tagged':
      return `${response.tag} ${encodeCondition(response)}`
    case 'condition':
      return `* ${encodeCondition(response)}`
    case 'continuation':
      return `+ ${encodeText(response.text)}`
    case 'CAPABILITY':
    case 'ENABLED':
      return ['*', response.kind, ...response.names.map(encodeWord)].join(' ')
    case 'LIST':
    case 'LSUB':
      return `* ${response.kind} (${response.attributes.join(' ')}) "${HIERARCHY_DELIMITER}" ${encodeMailbox(response.mailboxName)}`
    case 'STATUS': {
      const items = response.items.map(([item, value]) => `${item} ${value}`)
      return `* STATUS ${encodeMailbox(response.mailboxName)} (${items.join(' ')})`
    }
    case 'SEARCH':
      return ['* SEARCH', ...response.numbers].join(' ')
    case 'FLAGS':
      return `* FLAGS ${encodeFlags(response.flags)}`
    case 'EXISTS':
    case 'RECENT':
      return `* ${response.count} ${response.kind}`
    case 'EXPUNGE':
      return `* ${response.seqNum} EXPUNGE`
    case 'NAMESPACE':
      return `* NAMESPACE (("" "${HIERARCHY_DELIMITER}")) NIL NIL`
    case 'ID': {
      const pairs = response.pairs.map(([name, value]) => `${encodeString(name)} ${encodeString(value)}`)
      return `* ID ${pairs.length === 0 ? 'NIL' : `(${pairs.join(' ')})`}`
    }
    default:
      return unreachable(response)
  }
}

// resp-cond-state = ("OK" / "NO" / "BAD") SP resp-text ; resp-text = ["[" resp-text-code "]" SP] text
function encodeCondition(
  reply: Omit<TaggedReply, 'status'> & { readonly status: TaggedReply['status'] | 'BYE' },
): string {
  const code = reply.code === undefined ? '' : `[${encodeCode(reply.code)}] `
  return `${reply.status} ${code}${encodeText(reply.text)}`
}

function encodeCode(code: ResponseCode): string {
  switch (code.kind) {
    case 'BADCHARSET':
      return `BADCHARSET (${code.charsets.map(encodeWord).join(' ')})`
    case 'CAPABILITY':
      return ['CAPABILITY', ...code.names.map(encodeWord)].join(' ')
    case 'PERMANENTFLAGS':
      return `PERMANENTFLAGS ${encodeFlags(code.flags)}`
    case 'UIDNEXT':
    case 'UIDVALIDITY':
    case 'UNSEEN':
      return `${code.kind} ${code.number}`
    case 'APPENDUID':
      return `APPENDUID ${code.uidValidity} ${code.uid}`
    case 'COPYUID':
      return `COPYUID ${code.uidValidity} ${formatUidSet(code.from)} ${formatUidSet(code.to)}`
    default:
      return code.kind
  }
}

/** text = 1*TEXT-CHAR; our own words, but some quote what a client sent. */
function encodeText(text: string): string {
  if (!/^[\x01-\x09\x0b\x0c\x0e-\x7f]*$/.test(text))
    throw new Error('response text with CR, LF, NUL or 8-bit')
  return text
}

function encodeWord(word: string): string {
  if (!isAstringAtom(word)) throw new Error('response word that is no atom')
  return word
}

function encodeFlags(flags: readonly Flag[]): string {
  for (const flag of flags) {
    if (flag !== '\\*' && !isAstringAtom(flag.replace(/^\\/, '')))
      throw new Error('response flag that is no atom')
  }
  return `(${flags.join(' ')})`
}

function encodeMailbox(name: string): string {
  const encoded = encodeModifiedUtf7(name)
  return isAstringAtom(encoded) ? encoded : encodeString(encoded)
}

// message-data = nz-number SP "FETCH" SP msg-att ; msg-att = "(" item *(SP item) ")"
function encodeFetch(response: Response & { readonly kind: 'FETCH' }): readonly Piece[] {
  const pieces: Piece[] = [`* ${response.seqNum} FETCH (`]
  for (const [index, item] of response.items.entries()) {
    if (index > 0) pieces.push(' ')
    pieces.push(...encodeFetchItem(item))
  }
  return [...pieces, ')\r\n']
}

function encodeFetchItem(item: FetchItem): readonly Piece[] {
  switch (item.kind) {
    case 'UID':
      return [`UID ${item.uid}`]
    case 'FLAGS':
      return [`FLAGS ${encodeFlags(item.flags)}`]
    case 'INTERNALDATE':
      return [`INTERNALDATE ${encodeDateTime(item.date)}`]
    case 'RFC822.SIZE':
      return [`RFC822.SIZE ${item.size}`]
    case 'ENVELOPE':
      return [`ENVELOPE ${encodeEnvelope(item.envelope)}`]
    case 'BODY':
    case 'BODYSTRUCTURE':
      return [`${item.kind} ${encodeBody(item.structure, item.kind)}`]
    case 'RFC822':
    case 'RFC822.HEADER':
    case 'RFC822.TEXT':
      return [`${item.kind} `, ...encodeContent(item.content)]
    case 'section': {
      const origin = item.origin === null ? '' : `<${item.origin}>`
      return [`BODY[${encodeSection(item.section)}]${origin} `, ...encodeContent(item.content)]
    }
    default:
      return unreachable(item)
  }
}

/** Octets of a body are a literal, whatever they are; nothing is `""`. */
function encodeContent(content: BodyContent): readonly Piece[] {
  if (content === null) return ['NIL']
  const size = content.kind === 'bytes' ? content.bytes.length : content.size
  if (size === 0) return ['""']
  return [`{${size}}\r\n`, content.kind === 'bytes' ? content.bytes : { size, chunks: content.chunks }]
}

function encodeSection(section: BodySection): string {
  const { path, text } = section
  if (text === null) return path.join('.')
  return [
    ...path,
    'names' in text ? `${text.kind} (${text.names.map(encodeAstring).join(' ')})` : text.kind,
  ].join('.')
}

function encodeAstring(bytes: string): string {
  return isAstringAtom(bytes) ? bytes : encodeString(bytes)
}

/**
 * date-time in UTC (the zone of an APPEND is not kept; the instant is). The day always has two digits: either form
 * is in the grammar, and clients have stumbled over the blank.
 */
function encodeDateTime(date: Date): string {
  const iso = date.toISOString()
  return `"${iso.slice(8, 10)}-${MONTHS[date.getUTCMonth()] ?? ''}-${iso.slice(0, 4)} ${iso.slice(11, 19)} +0000"`
}

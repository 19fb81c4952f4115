import { parseMailDate } from '../mail/date.ts'
import { readPartText } from '../mail/decode-part.ts'
import { decodeHeaderText } from '../mail/encoded-words.ts'
import { fieldsNamed, fieldValue, type HeaderField, splitHeader } from '../mail/header.ts'
import type { BodyPart, ByteRange, MessageIndex } from '../mail/message-index.ts'
import { MAX_SEARCHED_PART_BYTES } from './limits.ts'
import type { ViewedMessage } from './mailbox-view.ts'
import { MessageContent } from './message-content.ts'
import { type CalendarDay, calendarDayOf } from './parse-date.ts'
import type { MessageRecord, OpenMailbox } from './port.ts'
import { evaluateKey, foldCase, type SearchKey, type SearchLeaf, type Truth } from './search-key.ts'
import type { NumberRange } from './sequence-set.ts'

/** A sequence set of the key, resolved for the mailbox. */
export type ResolveSet = (leaf: SearchLeaf & { readonly kind: 'sequence' | 'uid' }) => readonly NumberRange[]

/** What the view alone can tell: numbers and flags. */
export function truthInView(key: SearchKey, message: ViewedMessage, resolve: ResolveSet): Truth {
  return evaluateKey(key, (leaf) => {
    switch (leaf.kind) {
      case 'all':
        return true
      case 'recent':
        return false
      case 'flag':
        return message.flags.some((flag) => flag.toLowerCase() === leaf.flag.toLowerCase())
      case 'sequence':
        return isInRanges(message.seqNum, resolve(leaf))
      case 'uid':
        return isInRanges(message.uid, resolve(leaf))
      default:
        return undefined
    }
  })
}

function isInRanges(number: number, ranges: readonly NumberRange[]): boolean {
  return ranges.some(({ low, high }) => low <= number && number <= high)
}

/** Decides a key for one message: first by its record, then, only where that leaves it open, by its octets. */
export async function matchesRecord(
  key: SearchKey,
  found: { readonly message: ViewedMessage; readonly record: MessageRecord; readonly mailbox: OpenMailbox },
  resolve: ResolveSet,
): Promise<boolean> {
  const { message, record, mailbox } = found
  const inView = (leaf: SearchLeaf): Truth => truthInView(leaf, message, resolve)
  const search = new RecordSearch(record, new MessageContent(mailbox, record))
  const known = (leaf: SearchLeaf): Truth => inView(leaf) ?? search.truthInIndex(leaf)
  for (;;) {
    const open: SearchLeaf[] = []
    const truth = evaluateKey(key, (leaf) => {
      const leafTruth = known(leaf)
      if (leafTruth === undefined) open.push(leaf)
      return leafTruth
    })
    const next = open[0]
    if (truth !== undefined || next === undefined) return truth === true
    await search.readFor(next)
  }
}

/** What is known of one message while its key is decided. */
class RecordSearch {
  readonly #index: MessageIndex
  readonly #record: MessageRecord
  readonly #content: MessageContent
  readonly #decided = new Map<SearchLeaf, boolean>()
  #fields: readonly HeaderField[] | undefined
  #headerText: string | undefined
  #partTexts: readonly string[] | undefined

  constructor(record: MessageRecord, content: MessageContent) {
    this.#record = record
    this.#index = record.index
    this.#content = content
    const { header } = this.#index.structure
    if (this.#index.headerBytes.length >= header.end) this.#fields = splitHeader(this.#index.headerBytes)
  }

  truthInIndex(leaf: SearchLeaf): Truth {
    switch (leaf.kind) {
      case 'larger':
        return this.#index.size > leaf.size
      case 'smaller':
        return this.#index.size < leaf.size
      case 'internal-date':
        return compareDay(calendarDayOf(this.#record.internalDate.getTime()), leaf)
      case 'sent-date': {
        const day = sentDay(this.#index)
        return day !== undefined && compareDay(day, leaf)
      }
      case 'header':
        return this.#fields === undefined ? undefined : hasField(this.#fields, leaf)
      case 'body':
        return this.#decided.get(leaf)
      case 'text':
        // A header that matches decides; one that does not leaves it to the body.
        if (this.#fields !== undefined && this.#headerHas(leaf.needle)) return true
        return this.#decided.get(leaf)
      default:
        return undefined
    }
  }

  /** Reads from the message what this leaf needs; afterwards `truthInIndex` decides it. */
  async readFor(leaf: SearchLeaf): Promise<void> {
    if (this.#fields === undefined) {
      const header = await this.#content.header(this.#index.structure.header)
      this.#fields = splitHeader(header ?? this.#index.headerBytes)
      if (this.truthInIndex(leaf) !== undefined) return
    }
    if (leaf.kind !== 'body' && leaf.kind !== 'text') throw new Error(`cannot decide search key ${leaf.kind}`)
    this.#partTexts ??= await this.#readTexts(this.#index.structure)
    this.#decided.set(
      leaf,
      this.#partTexts.some((text) => text.includes(leaf.needle)),
    )
  }

  #headerHas(needle: string): boolean {
    this.#headerText ??= decodedHeader(this.#fields ?? [])
    return this.#headerText.includes(needle)
  }

  /** Decoded text parts, and the headers of parts and embedded messages, folded; an attachment's octets are no text. */
  async #readTexts(part: BodyPart): Promise<readonly string[]> {
    const texts: string[] = []
    for (const inner of innerParts(part)) {
      texts.push(await this.#headerTextAt(inner.header), ...(await this.#readTexts(inner)))
    }
    if (part.kind === 'text') {
      const source = await this.#content.read(part.body)
      if (source !== undefined)
        texts.push(foldCase(await readPartText(source, part, MAX_SEARCHED_PART_BYTES)))
    }
    return texts
  }

  async #headerTextAt(range: ByteRange): Promise<string> {
    const header = await this.#content.header(range)
    return header === undefined ? '' : decodedHeader(splitHeader(header))
  }
}

function innerParts(part: BodyPart): readonly BodyPart[] {
  switch (part.kind) {
    case 'multipart':
      return part.parts
    case 'message':
      return [part.message]
    case 'basic':
    case 'text':
      return []
  }
}

function decodedHeader(fields: readonly HeaderField[]): string {
  return foldCase(fields.map((field) => `${field.name}: ${decodeHeaderText(fieldValue(field))}`).join('\n'))
}

/** An empty needle asks whether the field is there (RFC 9051 6.4.4). */
function hasField(fields: readonly HeaderField[], leaf: SearchLeaf & { readonly kind: 'header' }): boolean {
  return fieldsNamed(fields, leaf.field).some(
    (field) => leaf.needle === '' || foldCase(decodeHeaderText(fieldValue(field))).includes(leaf.needle),
  )
}

/** The calendar day the sender wrote, whatever its zone (RFC 9051 6.4.4: "disregarding time and timezone"). */
function sentDay(index: MessageIndex): CalendarDay | undefined {
  const date = index.envelope.date === null ? null : parseMailDate(index.envelope.date)
  return date === null ? undefined : calendarDayOf(date.epochMs + date.offsetMinutes * 60_000)
}

function compareDay(
  day: CalendarDay,
  leaf: SearchLeaf & { readonly kind: 'internal-date' | 'sent-date' },
): boolean {
  switch (leaf.is) {
    case 'before':
      return day < leaf.day
    case 'on':
      return day === leaf.day
    case 'since':
      return day >= leaf.day
  }
}

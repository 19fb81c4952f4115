import { filterHeader } from '../mail/header.ts'
import type { ByteRange } from '../mail/message-index.ts'
import { locateSection, partialOf } from './body-section.ts'
import type { BodySection, PartialRange } from './fetch-item.ts'
import { MAX_HEADER_READ_BYTES } from './limits.ts'
import type { MessageRecord, OpenMailbox } from './port.ts'
import type { BodyContent } from './response.ts'

/** Gives the octets of a message's sections: from the index where it holds them, else streamed from the store. */
export class MessageContent {
  readonly #mailbox: Pick<OpenMailbox, 'readBody'>
  readonly #record: MessageRecord

  constructor(mailbox: Pick<OpenMailbox, 'readBody'>, record: MessageRecord) {
    this.#mailbox = mailbox
    this.#record = record
  }

  /** The content of a section; NIL when there is no such part, or the message itself is gone. */
  async section(section: BodySection, partial: PartialRange | null): Promise<BodyContent> {
    const { structure, size } = this.#record.index
    const place = locateSection(structure, size, section)
    switch (place.kind) {
      case 'nowhere':
        return null
      case 'range':
        return await this.#range(partialOf(place.range, partial))
      case 'fields': {
        const header = await this.header(place.range)
        if (header === undefined) return null
        const fields = filterHeader(header, place.keep)
        const { start, end } = partialOf({ start: 0, end: fields.length }, partial)
        return { kind: 'bytes', bytes: fields.subarray(start, end) }
      }
    }
  }

  /** A header's octets, read to a bound; undefined when the message is gone. */
  async header(range: ByteRange): Promise<Uint8Array | undefined> {
    const bounded = { start: range.start, end: Math.min(range.end, range.start + MAX_HEADER_READ_BYTES) }
    const content = await this.#range(bounded)
    if (content === null || content.kind === 'bytes') return content?.bytes
    const chunks: Uint8Array[] = []
    for await (const chunk of content.chunks) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  /** Octets as they come from the store; undefined when the message is gone. */
  async read(range: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    return await this.#mailbox.readBody(this.#record.uid, range)
  }

  async #range(range: ByteRange): Promise<BodyContent> {
    const { headerBytes } = this.#record.index
    if (range.end <= headerBytes.length || range.start === range.end) {
      return { kind: 'bytes', bytes: headerBytes.subarray(range.start, range.end) }
    }
    const chunks = await this.read(range)
    return chunks === undefined ? null : { kind: 'stream', size: range.end - range.start, chunks }
  }
}

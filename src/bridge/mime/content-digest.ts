import { createHash, type Hash } from 'node:crypto'
import type { BodyPart, ImapEnvelope } from '../../mail/message-index.ts'
import { type LeafListener, MessageScanner } from '../../mail/mime-split.ts'
import type { PartHeader } from '../../mail/part-header.ts'
import { createTransferDecoder, type TransferDecoder } from '../../mail/transfer-decoding.ts'

const LF = 0x0a
const CR = 0x0d

/**
 * What a message says, whatever its header fields, boundaries and transfer encodings are: SHA-256 over the decoded
 * leaf parts in order (design 7.5). In text parts line breaks count as LF and those at the end not at all, since
 * mail programs differ in them between SMTP and APPEND. Listens to the one scan of the message.
 */
export class ContentDigest implements LeafListener {
  readonly #all = createHash('sha256')
  #leaf: Hash = createHash('sha256')
  #decoder: TransferDecoder = createTransferDecoder('7bit')
  #text: TextCanonicalizer | undefined

  begin(header: PartHeader): void {
    this.#leaf = createHash('sha256')
    this.#decoder = createTransferDecoder(header.encoding)
    this.#text = header.type === 'text' ? new TextCanonicalizer() : undefined
  }

  bytes(chunk: Uint8Array): void {
    this.#add(this.#decoder.push(chunk))
  }

  end(): void {
    this.#add(this.#decoder.finish())
    this.#all.update(this.#leaf.digest())
  }

  /** 64 lower-case hex digits. `structure` is that of the scanned message: embedded messages differ by their envelope. */
  finish(structure: BodyPart): string {
    for (const envelope of embeddedEnvelopes(structure)) this.#all.update(JSON.stringify(envelope))
    return this.#all.digest('hex')
  }

  #add(bytes: Uint8Array): void {
    this.#leaf.update(this.#text === undefined ? bytes : this.#text.push(bytes))
  }
}

/** The digest of a message that is not being scanned anyway. */
export async function contentDigest(source: AsyncIterable<Uint8Array>): Promise<string> {
  const digest = new ContentDigest()
  const scanner = new MessageScanner(digest)
  for await (const chunk of source) scanner.push(chunk)
  return digest.finish(scanner.finish().index.structure)
}

function embeddedEnvelopes(part: BodyPart): readonly ImapEnvelope[] {
  if (part.kind === 'multipart') return part.parts.flatMap(embeddedEnvelopes)
  if (part.kind === 'message') return [part.envelope, ...embeddedEnvelopes(part.message)]
  return []
}

/** Empty lines in a row that are told apart; it bounds what is written when text follows at last. */
const MAX_LINE_FEEDS = 4_096

/** Drops every CR and holds line feeds back until something follows them. */
class TextCanonicalizer {
  #lineFeeds = 0

  push(bytes: Uint8Array): Uint8Array {
    const output = Buffer.alloc(bytes.length + Math.min(this.#lineFeeds, MAX_LINE_FEEDS), LF)
    let length = 0
    for (const octet of bytes) {
      if (octet === LF) this.#lineFeeds++
      else if (octet !== CR) {
        // The buffer is filled with LF: only the place moves.
        length += Math.min(this.#lineFeeds, MAX_LINE_FEEDS)
        this.#lineFeeds = 0
        output[length] = octet
        length++
      }
    }
    return output.subarray(0, length)
  }
}

import { decodeCharset } from './charset.ts'
import { unflow } from './flowed-text.ts'
import { htmlToText } from './html-text.ts'
import type { BodyPart } from './message-index.ts'
import { parameterValue } from './parameters.ts'
import { decodeTransferStream } from './transfer-decoding.ts'

/** A part that has content of its own. */
export type LeafPart = Extract<BodyPart, { readonly kind: 'basic' | 'text' }>

/**
 * The text of a text part for people and for SEARCH: transfer encoding, charset, `format=flowed` and line breaks
 * undone (LF), no NUL; HTML becomes plain text. `source` gives the octets of the part's `body`; decoded octets after
 * `maxBytes` are not read.
 */
export async function readPartText(
  source: AsyncIterable<Uint8Array>,
  part: LeafPart,
  maxBytes: number,
): Promise<string> {
  const text = await readSourceText(source, part, maxBytes)
  if (part.subtype === 'html') return htmlToText(text)
  const isFlowed = parameterValue(part.parameters, 'format')?.toLowerCase() === 'flowed'
  const delSp = parameterValue(part.parameters, 'delsp')?.toLowerCase() === 'yes'
  return isFlowed && part.subtype === 'plain' ? unflow(text, delSp) : text
}

/** The same without unflowing and without reading HTML: the source text of a text part, LF, no NUL, well-formed. */
export async function readSourceText(
  source: AsyncIterable<Uint8Array>,
  part: LeafPart,
  maxBytes: number,
): Promise<string> {
  const bytes = await readBounded(decodeTransferStream(source, part.encoding), maxBytes)
  const text = decodeCharset(bytes, parameterValue(part.parameters, 'charset'))
  return text.replace(/\r\n?/g, '\n').replace(/\0/g, '').toWellFormed()
}

async function readBounded(source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let room = maxBytes
  for await (const chunk of source) {
    chunks.push(chunk.subarray(0, room))
    room -= chunk.length
    if (room <= 0) break
  }
  return Buffer.concat(chunks)
}

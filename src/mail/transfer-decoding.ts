import { QuotedPrintableDecoder } from './quoted-printable.ts'

/** Content-Transfer-Encoding undone piece by piece (RFC 2045 6.7, 6.8): pure, any chunking gives the same octets. */
export interface TransferDecoder {
  /** The octets that are certain after this piece. */
  push(chunk: Uint8Array): Uint8Array
  /** The octets that were held back. */
  finish(): Uint8Array
}

const NOTHING = new Uint8Array(0)

/** A decoder for the encoding's lower-case name; an unknown one leaves the octets as they are (RFC 2045 6.4). */
export function createTransferDecoder(encoding: string): TransferDecoder {
  if (encoding === 'base64') return new Base64Decoder()
  if (encoding === 'quoted-printable') return new QuotedPrintableDecoder()
  return { push: (chunk) => chunk, finish: () => NOTHING }
}

/** Decodes a whole small part; `bytes` must be bounded by the caller. */
export function decodeTransfer(bytes: Uint8Array, encoding: string): Buffer {
  const decoder = createTransferDecoder(encoding)
  return Buffer.concat([decoder.push(bytes), decoder.finish()])
}

/** A part's content as it comes from `source`, decoded. */
export async function* decodeTransferStream(
  source: AsyncIterable<Uint8Array>,
  encoding: string,
): AsyncGenerator<Uint8Array> {
  const decoder = createTransferDecoder(encoding)
  for await (const chunk of source) {
    const decoded = decoder.push(chunk)
    if (decoded.length > 0) yield decoded
  }
  const last = decoder.finish()
  if (last.length > 0) yield last
}

/** Characters outside the alphabet are passed over (RFC 2045 6.8); padding ends a quantum, more text may follow. */
class Base64Decoder implements TransferDecoder {
  /** Less than four characters of the alphabet. */
  #pending = ''

  push(chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const text = this.#pending + bytes.toString('latin1').replace(/[^A-Za-z0-9+/=]+/g, '')
    if (!text.includes('=')) {
      const whole = text.length - (text.length % 4)
      this.#pending = text.slice(whole)
      return Buffer.from(text.slice(0, whole), 'base64')
    }
    return this.#withPadding(text)
  }

  finish(): Uint8Array {
    const pending = this.#pending
    this.#pending = ''
    return Buffer.from(pending, 'base64')
  }

  #withPadding(text: string): Uint8Array {
    const runs = text.split(/=+/)
    const last = runs.pop() ?? ''
    const whole = last.length - (last.length % 4)
    this.#pending = last.slice(whole)
    return Buffer.concat([...runs, last.slice(0, whole)].map((run) => Buffer.from(run, 'base64')))
  }
}

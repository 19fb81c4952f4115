const NUL = 0x00
const LF = 0x0a
const CR = 0x0d
const NOTHING = new Uint8Array(0)
const CRLF_BYTES = Buffer.from('\r\n')

/**
 * The input policy of DATA for octets, applied once, before any hash (design 7.4, case M29): a bare CR or LF becomes
 * CRLF, the last line ends in CRLF. NUL is only noticed; the message is then refused. Any chunking gives the same.
 */
export class InputNormalizer {
  #endsInReturn: boolean = false
  #endsInBreak: boolean = true
  #hasNul: boolean = false

  /** A NUL went by. */
  get hasNul(): boolean {
    return this.#hasNul
  }

  /** The octets to keep; may be the chunk itself. */
  push(chunk: Uint8Array): Uint8Array {
    if (chunk.length === 0) return NOTHING
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (!this.#hasNul) this.#hasNul = bytes.includes(NUL)
    const isClean = !this.#endsInReturn && bytes.at(-1) !== CR && hasOnlyCrlf(bytes)
    const output = isClean ? bytes : this.#normalize(bytes)
    this.#endsInReturn = bytes.at(-1) === CR
    this.#endsInBreak = bytes.at(-1) === LF || this.#endsInReturn
    return output
  }

  /** The end of the message: what is missing of the last line break. */
  finish(): Uint8Array {
    if (this.#endsInReturn || !this.#endsInBreak) return CRLF_BYTES
    return NOTHING
  }

  /** A CR is only written when the octet after it has come: with its LF, whether there was one or not. */
  #normalize(bytes: Buffer): Buffer {
    const output = Buffer.allocUnsafe(2 * bytes.length + 2)
    let length = 0
    let afterReturn = this.#endsInReturn
    for (const octet of bytes) {
      if (octet === LF || afterReturn) {
        output[length] = CR
        output[length + 1] = LF
        length += 2
      }
      if (octet !== LF && octet !== CR) {
        output[length] = octet
        length++
      }
      afterReturn = octet === CR
    }
    return output.subarray(0, length)
  }
}

function hasOnlyCrlf(bytes: Buffer): boolean {
  let lineFeeds = 0
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CR) return false
    lineFeeds++
  }
  let returns = 0
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) returns++
  return lineFeeds === returns
}

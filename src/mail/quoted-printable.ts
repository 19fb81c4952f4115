/** Octets that may be part of an escape, a soft break or blanks before a break are held back; more are content. */
const MAX_HELD_BYTES = 1_000

const LF = 0x0a
const CR = 0x0d
const EQUALS = 0x3d

/**
 * Undoes quoted-printable octet by octet (RFC 2045 6.7), so that chunks do not matter. Robust as its notes ask: an
 * `=` that is no escape stays, blanks at the end of a line go, real CR and LF stay as they are (case M28).
 */
export class QuotedPrintableDecoder {
  /** An unfinished escape or soft break (`=`, `=4`, `= \r`), or blanks and perhaps a CR. */
  #held: number[] = []
  #output: Buffer = Buffer.alloc(0)
  #length = 0

  push(chunk: Uint8Array): Uint8Array {
    this.#output = Buffer.allocUnsafe(chunk.length + this.#held.length)
    this.#length = 0
    for (const octet of chunk) this.#take(octet)
    return this.#output.subarray(0, this.#length)
  }

  finish(): Uint8Array {
    const held = this.#held
    this.#held = []
    // At the end, blanks and a soft break stand before the line break that belongs to the delimiter.
    const isHalfEscape = held[0] === EQUALS && isHex(held[1])
    return isHalfEscape ? Buffer.from(held) : new Uint8Array(0)
  }

  #take(octet: number): void {
    if (this.#held.length === 0) this.#start(octet)
    else if (this.#held[0] === EQUALS) this.#continueEscape(octet)
    else this.#continueBlanks(octet)
  }

  #start(octet: number): void {
    if (octet === EQUALS || isBlank(octet)) this.#held.push(octet)
    else this.#put(octet)
  }

  #continueEscape(octet: number): void {
    const second = this.#held[1]
    if (isHex(second)) {
      if (isHex(octet)) {
        this.#held = []
        this.#put(Number.parseInt(String.fromCharCode(second, octet), 16))
      } else this.#release(octet)
    } else if (octet === LF) this.#held = []
    else if (second === undefined && isHex(octet)) this.#held.push(octet)
    else if (isBlank(octet) || octet === CR) this.#hold(octet)
    else this.#release(octet)
  }

  #continueBlanks(octet: number): void {
    const endsInReturn = this.#held.at(-1) === CR
    if (octet === LF) {
      this.#held = []
      if (endsInReturn) this.#put(CR)
      this.#put(LF)
    } else if (!endsInReturn && (isBlank(octet) || octet === CR)) this.#hold(octet)
    else this.#release(octet)
  }

  #hold(octet: number): void {
    if (this.#held.length < MAX_HELD_BYTES) this.#held.push(octet)
    else this.#release(octet)
  }

  /** What was held is content after all. */
  #release(octet: number): void {
    const held = this.#held
    this.#held = []
    for (const heldOctet of held) this.#put(heldOctet)
    this.#start(octet)
  }

  #put(octet: number): void {
    this.#output[this.#length] = octet
    this.#length++
  }
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09
}

function isHex(octet: number | undefined): octet is number {
  if (octet === undefined) return false
  const isDigit = octet >= 0x30 && octet <= 0x39
  const letter = octet | 0x20
  return isDigit || (letter >= 0x61 && letter <= 0x66)
}

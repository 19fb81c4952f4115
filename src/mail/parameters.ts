import type { Parameters } from './message-index.ts'
import { readQuotedString } from './quoted-string.ts'

/** A field of the form `value; name=value…` (RFC 2045 5.1, RFC 2183, RFC 2231). */
export interface ParameterizedValue {
  /** Lower case, without comments. */
  readonly value: string
  /** Names in lower case; continuations joined, see `joinContinuations`. */
  readonly parameters: Parameters
}

/** Parameters beyond this many are not read: no real part has a tenth of it. */
const MAX_PARAMETERS = 100
/** Pieces of one RFC 2231 continuation. */
const MAX_PIECES = 100

/** Parameters whose bare value real programs write with blanks in it (`filename=my report.pdf`). */
const NAMES_WITH_BLANKS = /^(?:file)?name(?:\*\d*)?\*?$/

/** Parses a byte string; never throws: what is no parameter is passed over. */
export function parseParameterized(text: string): ParameterizedValue {
  const reader = new ParameterReader(text)
  const value = reader.leadingValue()
  const parameters: [string, string][] = []
  while (parameters.length < MAX_PARAMETERS) {
    const parameter = reader.parameter()
    if (parameter === undefined) break
    parameters.push(parameter)
  }
  return { value, parameters: joinContinuations(parameters) }
}

/** The value of a parameter as it stands; undefined when it is missing. */
export function parameterValue(parameters: Parameters, name: string): string | undefined {
  return parameters.find(([candidate]) => candidate === name)?.[1]
}

class ParameterReader {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  leadingValue(): string {
    this.#skipCfws()
    return this.#take(/[^;\s(]*/y).toLowerCase()
  }

  /** `attribute "=" value`, after any semicolons, blanks and comments; undefined at the end. */
  parameter(): [string, string] | undefined {
    while (this.#position < this.#text.length) {
      this.#skipSeparators()
      const name = this.#take(/[^\s=;("]+/y).toLowerCase()
      this.#skipCfws()
      if (name !== '' && this.#text[this.#position] === '=') {
        this.#position++
        this.#skipCfws()
        return [name, this.#value(name)]
      }
      // Not a parameter: pass over one character at least, so that reading always ends.
      if (name === '') this.#position++
    }
    return undefined
  }

  #value(name: string): string {
    if (this.#text[this.#position] === '"') return this.#quotedString()
    // An unquoted value may hold tspecials (case M02); it ends at a semicolon or a blank.
    return this.#take(NAMES_WITH_BLANKS.test(name) ? /[^;\r\n]*/y : /[^;\s]*/y).trimEnd()
  }

  #quotedString(): string {
    const { value, end } = readQuotedString(this.#text, this.#position)
    this.#position = end
    return value
  }

  #skipSeparators(): void {
    do {
      this.#skipCfws()
      if (this.#text[this.#position] !== ';') return
      this.#position++
    } while (this.#position < this.#text.length)
  }

  #skipCfws(): void {
    while (this.#position < this.#text.length) {
      if (this.#take(/\s+/y) === '' && !this.#skipComment()) return
    }
  }

  #skipComment(): boolean {
    if (this.#text[this.#position] !== '(') return false
    let depth = 0
    do {
      const char = this.#text[this.#position]
      if (char === '\\') this.#position++
      else if (char === '(') depth++
      else if (char === ')') depth--
      this.#position++
    } while (depth > 0 && this.#position < this.#text.length)
    return true
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#position
    const taken = pattern.exec(this.#text)?.[0] ?? ''
    this.#position += taken.length
    return taken
  }
}

interface Piece {
  readonly number: number
  /** Percent-encoded (`name*0*=`). */
  readonly extended: boolean
  readonly value: string
}

/**
 * RFC 2231 section 7: a server joins continuations before it shows BODYSTRUCTURE. A value with a charset comes out as
 * `name*` in its encoded form, unless it is printable ASCII: then as plain `name`, which is also what a boundary
 * written in that way needs (case M05). `name*` beats `name`.
 */
function joinContinuations(parameters: readonly (readonly [string, string])[]): Parameters {
  const joined = new Map<string, string>()
  const pieces = new Map<string, Piece[]>()
  for (const [name, value] of parameters) {
    const match = /^([^*]+)\*(?:(\d{1,3})(\*)?)?$/.exec(name)
    if (match?.[1] === undefined) {
      if (!joined.has(name)) joined.set(name, value)
      continue
    }
    const list = pieces.get(match[1]) ?? []
    if (list.length < MAX_PIECES) {
      const single = match[2] === undefined
      list.push({ number: Number(match[2] ?? 0), extended: single || match[3] !== undefined, value })
    }
    pieces.set(match[1], list)
  }
  for (const [name, list] of pieces) setJoined(joined, name, list)
  return [...joined]
}

function setJoined(joined: Map<string, string>, name: string, pieces: readonly Piece[]): void {
  const ordered = pieces.toSorted((a, b) => a.number - b.number)
  if (!ordered.some((piece) => piece.extended)) {
    if (!joined.has(name)) joined.set(name, ordered.map((piece) => piece.value).join(''))
    return
  }
  const encoded = ordered.map((piece) => (piece.extended ? piece.value : encodePercent(piece.value))).join('')
  const ascii = printableAscii(encoded)
  if (ascii === undefined) joined.set(`${name}*`, encoded)
  else joined.set(name, ascii)
}

function encodePercent(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function printableAscii(encoded: string): string | undefined {
  const value = splitExtended(encoded)
  if (!/^(?:|us-ascii|utf-8|iso-8859-1)$/i.test(value.charset)) return undefined
  return /^[ -~]*$/.test(value.bytes) ? value.bytes : undefined
}

/** `charset'language'percent-encoded` of RFC 2231 4; without the quotes the whole is the text. Bytes as a byte string. */
export function splitExtended(value: string): { readonly charset: string; readonly bytes: string } {
  const match = /^([^']*)'[^']*'(.*)$/s.exec(value)
  const text = match?.[2] ?? value
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return { charset: match?.[1] ?? '', bytes }
}

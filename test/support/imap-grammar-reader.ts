/** The terminals of RFC 9051 9 on a byte string, each read or refused; no knowledge of the server. */

const ASTRING = /[!#$&'+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+/y
const QUOTED = /"(?:[\x01-\x09\x0b\x0c\x0e-\x21\x23-\x5b\x5d-\x7f]|\\["\\])*"/y

export class GrammarReader {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  get atEnd(): boolean {
    return this.at >= this.text.length
  }

  mailbox(): void {
    const name = this.astring()
    if (/[^\x20-\x7e]/.test(name)) throw this.fail('a mailbox name in modified UTF-7')
  }

  astring(): string {
    return this.isString() ? this.string() : this.match(ASTRING, 'astring')
  }

  nstring(): void {
    if (!this.accept('NIL')) this.string()
  }

  isString(): boolean {
    return this.peek() === '"' || this.peek() === '{'
  }

  string(): string {
    if (this.peek() === '"') return this.match(QUOTED, 'quoted').slice(1, -1).replace(/\\(.)/g, '$1')
    const size = Number(this.match(/\{(?:0|[1-9][0-9]*)\}\r\n/y, 'string').slice(1, -3))
    const octets = this.text.slice(this.at, this.at + size)
    if (octets.length < size) throw this.fail(`${size} octets`)
    if (octets.includes('\0')) throw this.fail('CHAR8')
    this.at += size
    return octets
  }

  number(): number {
    const number = Number(this.match(/0|[1-9][0-9]*/y, 'number'))
    if (number > 0xffff_ffff) throw this.fail('32-bit number')
    return number
  }

  nzNumber(): number {
    const number = this.number()
    if (number === 0) throw this.fail('nz-number')
    return number
  }

  sp(): void {
    this.expect(' ')
  }

  peek(): string {
    return this.text.charAt(this.at)
  }

  accept(wanted: string): boolean {
    if (!this.text.startsWith(wanted, this.at)) return false
    this.at += wanted.length
    return true
  }

  expect(wanted: string): void {
    if (!this.accept(wanted)) throw this.fail(JSON.stringify(wanted))
  }

  oneOf(words: readonly string[]): string {
    const word = this.match(/[A-Z]+/y, words.join(' / '))
    if (!words.includes(word)) throw this.fail(words.join(' / '))
    return word
  }

  match(pattern: RegExp, production: string): string {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    if (found === undefined || found === '') throw this.fail(production)
    this.at += found.length
    return found
  }

  fail(production: string): Error {
    const before = this.text.slice(Math.max(0, this.at - 120), this.at)
    const after = this.text.slice(this.at, this.at + 60)
    return new Error(
      `server output: expected ${production} at ${this.at}: ${JSON.stringify(before)} | ${JSON.stringify(after)}`,
    )
  }
}

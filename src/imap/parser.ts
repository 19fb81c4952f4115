import { type Flag, SYSTEM_FLAGS } from '../mail/flags.ts'
import { isAstringAtom, isAtom } from './abnf.ts'
import { MAX_KEYWORD_BYTES, MAX_KEYWORDS, MAX_LIST_ITEMS, MAX_NESTING_DEPTH } from './limits.ts'
import { canonicalMailboxName } from './mailbox-name.ts'
import { decodeModifiedUtf7 } from './modified-utf7.ts'
import { ImapReplyError, ImapSyntaxError } from './reply-error.ts'
import type { SeqNumber, SequenceSet } from './sequence-set.ts'

/** A command as it was received: text lines (without literal headers) and literals in turn, all as byte strings. */
export interface Segment {
  readonly kind: 'text' | 'literal'
  readonly bytes: string
}

/** The message of APPEND: still on its way when the command is parsed. */
export interface AwaitedLiteral {
  /** Octets. */
  readonly size: number
}

const MAX_UINT32 = 0xffff_ffff

/**
 * Reads one complete command by the grammar of RFC 9051 9, without I/O. Methods are named after the ABNF productions;
 * each throws `ImapSyntaxError` when its production is not there. Strings are byte strings, one char per octet.
 */
export class Parser {
  readonly #segments: readonly Segment[]
  readonly #awaited: AwaitedLiteral | null
  #index = 0
  #position = 0
  #depth = 0

  constructor(segments: readonly Segment[], awaited: AwaitedLiteral | null = null) {
    this.#segments = segments
    this.#awaited = awaited
  }

  /** The octets of this line that are not read yet. */
  get #rest(): string {
    const segment = this.#segments[this.#index]
    return segment?.kind === 'text' ? segment.bytes.slice(this.#position) : ''
  }

  get #char(): string {
    const segment = this.#segments[this.#index]
    return segment?.kind === 'text' ? segment.bytes.charAt(this.#position) : ''
  }

  fail(production: string): ImapSyntaxError {
    const before = this.#segments.slice(0, this.#index).reduce((sum, { bytes }) => sum + bytes.length, 0)
    return new ImapSyntaxError(production, before + this.#position)
  }

  /** True when that is what comes next; nothing is read. */
  peek(char: string): boolean {
    return this.#char === char && char !== ''
  }

  /** True when a digit comes next. */
  peekDigit(): boolean {
    return /^[0-9]$/.test(this.#char)
  }

  /** Reads the character if it comes next. */
  accept(char: string): boolean {
    if (!this.peek(char)) return false
    this.#position += 1
    return true
  }

  expect(char: string, production = `"${char}"`): void {
    if (!this.accept(char)) throw this.fail(production)
  }

  sp(): void {
    this.expect(' ', 'SP')
  }

  /** True at the end of the command. */
  atEnd(): boolean {
    return this.#char === '' && this.#index >= this.#segments.length - 1 && this.#awaited === null
  }

  end(): void {
    if (!this.atEnd()) throw this.fail('CRLF')
  }

  /** Reads the longest run of octets that the sticky pattern takes; undefined when it takes none. */
  #take(pattern: RegExp): string | undefined {
    const segment = this.#segments[this.#index]
    if (segment?.kind !== 'text') return undefined
    pattern.lastIndex = this.#position
    const found = pattern.exec(segment.bytes)?.[0]
    if (found === undefined || found === '') return undefined
    this.#position += found.length
    return found
  }

  // tag = 1*<any ASTRING-CHAR except "+">
  tag(): string {
    const tag = this.#take(/[^ ]+/y)
    if (tag === undefined || !isAstringAtom(tag) || tag.includes('+')) throw this.fail('tag')
    return tag
  }

  // atom = 1*ATOM-CHAR
  atom(): string {
    const atom = this.#take(/[^\x00-\x20"%()*\\\]{\x7f-\xff]+/y)
    if (atom === undefined || !isAtom(atom)) throw this.fail('atom')
    return atom
  }

  /** An atom that is a word of the protocol, in capitals. */
  word(): string {
    return this.atom().toUpperCase()
  }

  /** A run of letters, digits and dots, in capitals: the name of a fetch-att, whatever follows it. */
  attributeName(): string {
    const name = this.#take(/[A-Za-z][A-Za-z0-9.]*/y)
    if (name === undefined) throw this.fail('fetch-att')
    return name.toUpperCase()
  }

  // astring = 1*ASTRING-CHAR / string
  astring(): string {
    if (this.#isString()) return this.string()
    const atom = this.#take(/[^\x00-\x20"%()*\\{\x7f-\xff]+/y)
    if (atom === undefined) throw this.fail('astring')
    return atom
  }

  // nstring = string / nil
  nstring(): string | null {
    if (this.#isString()) return this.string()
    if (this.#take(/nil(?![^ ()])/iy) === undefined) throw this.fail('nstring')
    return null
  }

  #isString(): boolean {
    return this.peek('"') || this.#atLiteral()
  }

  // string = quoted / literal
  string(): string {
    return this.#atLiteral() ? this.#literal() : this.#quoted()
  }

  /** True when the line ends here and a literal that is at hand follows. */
  #atLiteral(): boolean {
    return this.#char === '' && this.#segments[this.#index + 1]?.kind === 'literal'
  }

  // literal = "{" number64 ["+"] "}" CRLF *CHAR8   ; CHAR8 = %x01-ff
  #literal(): string {
    const literal = this.#segments[this.#index + 1]?.bytes ?? ''
    if (literal.includes('\0')) throw this.fail('CHAR8')
    this.#index += 2
    this.#position = 0
    return literal
  }

  // quoted = DQUOTE *QUOTED-CHAR DQUOTE
  // QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials / UTF8-2 / UTF8-3 / UTF8-4
  // UTF-8 is RFC 9051's; several clients send it in SEARCH CHARSET UTF-8 (test/unit/imap/parser.test.ts).
  #quoted(): string {
    const quoted = this.#take(/"(?:[^"\\\0\r\n]|\\["\\])*"/y)
    if (quoted === undefined) throw this.fail('quoted')
    const bytes = quoted.slice(1, -1).replace(/\\(.)/g, '$1')
    if (/[\x80-\xff]/.test(bytes) && decodeUtf8(bytes) === undefined) throw this.fail('UTF8-2')
    return bytes
  }

  /** A string that is text: user names, passwords. */
  utf8String(): string {
    const text = decodeUtf8(this.astring())
    if (text === undefined) throw this.fail('astring in UTF-8')
    return text
  }

  // number = 1*DIGIT  ; unsigned 32-bit
  number(): number {
    const digits = this.#take(/[0-9]+/y)
    const number = Number(digits)
    if (digits === undefined || number > MAX_UINT32) throw this.fail('number')
    return number
  }

  // nz-number = digit-nz *DIGIT
  nzNumber(): number {
    if (!/^[1-9]$/.test(this.#char)) throw this.fail('nz-number')
    return this.number()
  }

  // sequence-set = (seq-number / seq-range) ["," sequence-set]
  sequenceSet(): SequenceSet {
    const set: { from: SeqNumber; to: SeqNumber }[] = []
    do {
      if (set.length === MAX_LIST_ITEMS) throw this.fail(`at most ${MAX_LIST_ITEMS} ranges`)
      const from = this.#seqNumber()
      set.push({ from, to: this.accept(':') ? this.#seqNumber() : from })
    } while (this.accept(','))
    return set
  }

  /** True when a sequence set comes next. */
  peekSequenceSet(): boolean {
    return this.peek('*') || this.peekDigit()
  }

  // seq-number = nz-number / "*"
  #seqNumber(): SeqNumber {
    return this.accept('*') ? '*' : this.nzNumber()
  }

  // mailbox = "INBOX" / astring
  mailbox(): string {
    return decodeMailboxName(this.astring())
  }

  // list-mailbox = 1*list-char / string  ; list-char = ATOM-CHAR / list-wildcards / resp-specials
  listMailbox(): string {
    const encoded = this.#isString() ? this.string() : this.#take(/[^\x00-\x20"()\\{\x7f-\xff]+/y)
    if (encoded === undefined) throw this.fail('list-mailbox')
    return decodeMailboxName(encoded)
  }

  // flag-list = "(" [flag *(SP flag)] ")"
  flagList(): readonly Flag[] {
    return settableFlags(this.list(() => this.#flag(), { mayBeEmpty: true }))
  }

  /** store-att-flags takes the list without parentheses too: flag *(SP flag). */
  flags(): readonly Flag[] {
    if (this.peek('(')) return this.flagList()
    const flags = [this.#flag()]
    while (this.accept(' ')) flags.push(this.#flag())
    return settableFlags(flags)
  }

  // flag = "\Answered" / … / flag-keyword / flag-extension ; flag-extension = "\" atom
  #flag(): Flag {
    const backslash = this.accept('\\') ? '\\' : ''
    const flag = `${backslash}${this.atom()}`
    if (flag.length > MAX_KEYWORD_BYTES) throw this.fail(`flag of at most ${MAX_KEYWORD_BYTES} octets`)
    return flag
  }

  /** "(" item *(SP item) ")", bounded in length. */
  list<T>(item: () => T, options: { readonly mayBeEmpty?: boolean } = {}): readonly T[] {
    this.expect('(')
    if (options.mayBeEmpty === true && this.accept(')')) return []
    const items = [item()]
    while (this.accept(' ')) {
      if (items.length === MAX_LIST_ITEMS) throw this.fail(`at most ${MAX_LIST_ITEMS} items`)
      items.push(item())
    }
    this.expect(')')
    return items
  }

  /** Reads a production that may hold itself, bounded in depth. */
  nested<T>(production: () => T): T {
    if (this.#depth === MAX_NESTING_DEPTH) throw this.fail(`at most ${MAX_NESTING_DEPTH} levels`)
    this.#depth += 1
    try {
      return production()
    } finally {
      this.#depth -= 1
    }
  }

  /** What the sticky pattern takes, for productions with a form of their own (dates). */
  matching(production: string, pattern: RegExp): string {
    const found = this.#take(pattern)
    if (found === undefined) throw this.fail(production)
    return found
  }

  /** The literal of APPEND, which is read after parsing. */
  awaitedLiteral(): AwaitedLiteral {
    if (this.#awaited === null || this.#rest !== '' || this.#index < this.#segments.length - 1) {
      throw this.fail('literal')
    }
    return this.#awaited
  }
}

function decodeMailboxName(encoded: string): string {
  const name = decodeModifiedUtf7(encoded)
  if (name === undefined) {
    throw new ImapReplyError('NO', 'Mailbox name is not valid modified UTF-7', { kind: 'CANNOT' })
  }
  return canonicalMailboxName(name)
}

/**
 * Flags a client may set: system flags in their one spelling, keywords as sent, each once. Other `\` flags, `\Recent`
 * among them, are not in PERMANENTFLAGS, and setting those has no effect (RFC 9051 7.1).
 */
function settableFlags(flags: readonly Flag[]): readonly Flag[] {
  const chosen = new Map<string, Flag>()
  for (const flag of flags) {
    const system = SYSTEM_FLAGS.find((name) => name.toLowerCase() === flag.toLowerCase())
    if (system !== undefined) chosen.set(system.toLowerCase(), system)
    else if (!flag.startsWith('\\') && !chosen.has(flag.toLowerCase())) chosen.set(flag.toLowerCase(), flag)
  }
  const keywords = [...chosen.values()].filter((flag) => !flag.startsWith('\\'))
  if (keywords.length > MAX_KEYWORDS) throw new ImapReplyError('NO', 'Too many keywords', { kind: 'LIMIT' })
  return [...chosen.values()]
}

/** The text of a byte string in UTF-8; undefined when it is none. */
export function decodeUtf8(bytes: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'))
  } catch {
    return undefined
  }
}

import { readQuotedString } from './quoted-string.ts'

/**
 * RFC 5322 3.4 address lists, read as programs really write them. Works on byte strings: names come out unquoted,
 * encoded words as they are (what ENVELOPE wants); `address.ts` makes text of them.
 */

/** One mailbox: byte strings, RFC 5322 quoting removed. */
export interface MailboxEntry {
  readonly kind: 'mailbox'
  /** The display name, else the last comment (`bob@example.net (Bob)`), else null. */
  readonly name: string | null
  readonly localPart: string
  /** Null when the address has no `@`. */
  readonly domain: string | null
}

/** `name: mailbox, mailbox;` (RFC 5322 3.4). */
interface GroupEntry {
  readonly kind: 'group'
  readonly name: string
  readonly members: readonly MailboxEntry[]
}

export type AddressEntry = MailboxEntry | GroupEntry

/** Addresses read from one list; the rest is dropped. SMTP allows far fewer recipients. */
const MAX_ADDRESSES = 10_000

interface Word {
  readonly text: string
  readonly spaceBefore: boolean
  readonly isAt: boolean
}

const ENCODED_WORD = /=\?[^?\s]{1,80}\?[bq]\?[^?\s]*\?=/iy
const ATOM = /[^\s()<>@,;:"]+/y
const DOMAIN_LITERAL = /\[[^\]<>\s]{1,100}\]/y

/** Parses an unfolded field body. Never throws: what is no address is passed over. */
export function parseAddressList(text: string): readonly AddressEntry[] {
  return new AddressReader(text).list()
}

class AddressReader {
  readonly #text: string
  #position = 0
  #count = 0
  #comment: string | null = null

  constructor(text: string) {
    this.#text = text
  }

  list(): readonly AddressEntry[] {
    const entries: AddressEntry[] = []
    while (this.#count < MAX_ADDRESSES && this.#position < this.#text.length) {
      const entry = this.#entry(true)
      if (entry !== undefined) entries.push(entry)
    }
    return entries
  }

  /** One mailbox or group and the separator behind it; undefined for an empty place in the list. */
  #entry(groupAllowed: boolean): AddressEntry | undefined {
    this.#comment = null
    const words = this.#words()
    const stop = this.#text[this.#position]
    if (stop === '<') return this.#angleAddress(words)
    if (stop === ':' && groupAllowed) {
      this.#position++
      return this.#group(phrase(words))
    }
    // A colon where no group can start is passed over like a comma.
    if (stop === ',' || stop === ':' || (stop === ';' && groupAllowed)) this.#position++
    return words.length === 0 ? undefined : this.#mailbox(null, words)
  }

  /** The text before one of `,;:<` or the end, with comments taken out. */
  #words(): readonly Word[] {
    const words: Word[] = []
    let spaceBefore = false
    while (this.#position < this.#text.length) {
      const char = this.#text[this.#position] ?? ''
      if (',;:<'.includes(char)) break
      if (this.#skipBlanks()) spaceBefore = true
      else {
        const word = this.#word(char)
        if (word !== undefined) words.push({ ...word, spaceBefore })
        spaceBefore = word === undefined
      }
    }
    return words
  }

  #word(char: string): { readonly text: string; readonly isAt: boolean } | undefined {
    if (char === '"') return { text: this.#quotedString(), isAt: false }
    if (char === '(') {
      this.#comment = this.#readComment()
      return undefined
    }
    // An encoded word may hold commas and the like, though RFC 2047 5 (3) forbids it in a phrase.
    const encoded = char === '=' ? this.#take(ENCODED_WORD) : ''
    if (encoded !== '') return { text: encoded, isAt: false }
    const literal = char === '[' ? this.#take(DOMAIN_LITERAL) : ''
    if (literal !== '') return { text: literal, isAt: false }
    const atom = this.#take(ATOM)
    if (atom !== '') return { text: atom, isAt: false }
    this.#position++
    return char === '@' ? { text: char, isAt: true } : undefined
  }

  /** `[display-name] "<" [route] addr-spec ">"`, then everything up to the separator is passed over. */
  #angleAddress(nameWords: readonly Word[]): MailboxEntry {
    const words = this.#angleWords()
    if (this.#text[this.#position] === '>') this.#position++
    const mailbox = this.#mailbox(nameWords.length === 0 ? null : phrase(nameWords), words)
    this.#skipToSeparator()
    return { ...mailbox, name: mailbox.name ?? this.#comment }
  }

  #angleWords(): readonly Word[] {
    let words: Word[] = []
    this.#position++
    while (this.#position < this.#text.length) {
      const char = this.#text[this.#position] ?? ''
      if ('>;<'.includes(char)) break
      // obs-route `<@a,@b:c@d>`: what comes before the colon is no part of the address.
      if (char === ':') words = []
      if (!this.#skipBlanks()) {
        const word = this.#word(char)
        if (word !== undefined) words.push({ ...word, spaceBefore: false })
      }
    }
    return words
  }

  #skipToSeparator(): void {
    while (this.#position < this.#text.length) {
      const char = this.#text[this.#position] ?? ''
      if (char === ';') return
      if (char === ',') {
        this.#position++
        return
      }
      if (char === '<') this.#position++
      else if (!this.#skipBlanks()) this.#word(char)
    }
  }

  #group(name: string): GroupEntry {
    const members: MailboxEntry[] = []
    while (this.#position < this.#text.length && this.#count < MAX_ADDRESSES) {
      const member = this.#entry(false)
      if (member?.kind === 'mailbox') members.push(member)
      if (this.#text[this.#position] === ';') {
        this.#position++
        break
      }
    }
    this.#count++
    return { kind: 'group', name, members }
  }

  #mailbox(name: string | null, words: readonly Word[]): MailboxEntry {
    this.#count++
    const at = words.findLastIndex((word) => word.isAt)
    const joined = (part: readonly Word[]) => part.map((word) => word.text).join('')
    return {
      kind: 'mailbox',
      name: name ?? this.#comment,
      localPart: joined(at < 0 ? words : words.slice(0, at)),
      domain: at < 0 ? null : joined(words.slice(at + 1)),
    }
  }

  #quotedString(): string {
    const { value, end } = readQuotedString(this.#text, this.#position)
    this.#position = end
    return value
  }

  #readComment(): string {
    const start = this.#position + 1
    let depth = 0
    do {
      const char = this.#text[this.#position]
      if (char === '\\') this.#position++
      else if (char === '(') depth++
      else if (char === ')') depth--
      this.#position++
    } while (depth > 0 && this.#position < this.#text.length)
    const end = depth > 0 ? this.#text.length : this.#position - 1
    return this.#text.slice(start, end).replace(/\\(.)/gs, '$1').trim()
  }

  #skipBlanks(): boolean {
    return this.#take(/\s+/y) !== ''
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#position
    const taken = pattern.exec(this.#text)?.[0] ?? ''
    this.#position += taken.length
    return taken
  }
}

function phrase(words: readonly Word[]): string {
  return words.map((word, index) => (word.spaceBefore && index > 0 ? ` ${word.text}` : word.text)).join('')
}

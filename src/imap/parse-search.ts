import { MAX_SEARCH_KEYS } from './limits.ts'
import { parseDate } from './parse-date.ts'
import { decodeUtf8, type Parser } from './parser.ts'
import { ImapReplyError } from './reply-error.ts'
import { type DateRelation, foldCase, type SearchKey } from './search-key.ts'

/** Charsets SEARCH takes (RFC 9051 6.4.4). */
const CHARSETS = ['US-ASCII', 'UTF-8'] as const
type Charset = (typeof CHARSETS)[number]

const FLAG_KEYS: ReadonlyMap<string, string> = new Map([
  ['ANSWERED', '\\Answered'],
  ['DELETED', '\\Deleted'],
  ['DRAFT', '\\Draft'],
  ['FLAGGED', '\\Flagged'],
  ['SEEN', '\\Seen'],
])

const HEADER_KEYS: ReadonlySet<string> = new Set(['BCC', 'CC', 'FROM', 'SUBJECT', 'TO'])

const DATE_KEYS: ReadonlyMap<
  string,
  { readonly kind: 'internal-date' | 'sent-date'; readonly is: DateRelation }
> = new Map([
  ['BEFORE', { kind: 'internal-date', is: 'before' }],
  ['ON', { kind: 'internal-date', is: 'on' }],
  ['SINCE', { kind: 'internal-date', is: 'since' }],
  ['SENTBEFORE', { kind: 'sent-date', is: 'before' }],
  ['SENTON', { kind: 'sent-date', is: 'on' }],
  ['SENTSINCE', { kind: 'sent-date', is: 'since' }],
] as const)

const RECENT: SearchKey = { kind: 'recent' }

// search = "SEARCH" [SP "CHARSET" SP charset] 1*(SP search-key)
export function parseSearchProgram(p: Parser): SearchKey {
  p.sp()
  const first = p.peek('(') || p.peekSequenceSet() ? undefined : p.word()
  if (first !== 'CHARSET') return new SearchParser(p, 'UTF-8').program(first)
  p.sp()
  const named = p.astring().toUpperCase()
  const charset = CHARSETS.find((name) => name === named)
  if (charset === undefined) {
    throw new ImapReplyError('NO', 'Charset not supported', { kind: 'BADCHARSET', charsets: CHARSETS })
  }
  p.sp()
  return new SearchParser(p, charset).program()
}

class SearchParser {
  readonly #p: Parser
  readonly #charset: Charset
  #keys = 0

  constructor(p: Parser, charset: Charset) {
    this.#p = p
    this.#charset = charset
  }

  /** All keys up to the end, joined by AND; `firstWord` was read already. */
  program(firstWord?: string): SearchKey {
    const keys = [firstWord === undefined ? this.#searchKey() : this.#wordKey(firstWord)]
    while (this.#p.accept(' ')) keys.push(this.#searchKey())
    return { kind: 'and', keys }
  }

  // search-key = "ALL" / … / sequence-set / "(" search-key *(SP search-key) ")"
  #searchKey(): SearchKey {
    const p = this.#p
    if (p.peek('(')) return p.nested(() => ({ kind: 'and', keys: p.list(() => this.#searchKey()) }))
    this.#keys += 1
    if (this.#keys > MAX_SEARCH_KEYS) throw p.fail(`at most ${MAX_SEARCH_KEYS} search keys`)
    if (p.peekSequenceSet()) return { kind: 'sequence', set: p.sequenceSet() }
    return this.#wordKey(p.word())
  }

  #wordKey(word: string): SearchKey {
    return this.#flagKey(word) ?? this.#dateKey(word) ?? this.#stringKey(word) ?? this.#otherKey(word)
  }

  #flagKey(word: string): SearchKey | undefined {
    const flag = FLAG_KEYS.get(word)
    if (flag !== undefined) return { kind: 'flag', flag }
    const unset = word.startsWith('UN') ? FLAG_KEYS.get(word.slice(2)) : undefined
    if (unset !== undefined) return { kind: 'not', key: { kind: 'flag', flag: unset } }
    if (word !== 'KEYWORD' && word !== 'UNKEYWORD') return undefined
    this.#p.sp()
    const keyword: SearchKey = { kind: 'flag', flag: this.#p.atom() }
    return word === 'KEYWORD' ? keyword : { kind: 'not', key: keyword }
  }

  #dateKey(word: string): SearchKey | undefined {
    const key = DATE_KEYS.get(word)
    if (key === undefined) return undefined
    this.#p.sp()
    return { ...key, day: parseDate(this.#p) }
  }

  #stringKey(word: string): SearchKey | undefined {
    if (HEADER_KEYS.has(word)) return { kind: 'header', field: word.toLowerCase(), needle: this.#needle() }
    if (word === 'BODY') return { kind: 'body', needle: this.#needle() }
    if (word === 'TEXT') return { kind: 'text', needle: this.#needle() }
    if (word !== 'HEADER') return undefined
    this.#p.sp()
    const field = this.#p.astring().toLowerCase()
    return { kind: 'header', field, needle: this.#needle() }
  }

  #otherKey(word: string): SearchKey {
    const p = this.#p
    switch (word) {
      case 'ALL':
        return { kind: 'all' }
      // NEW = RECENT UNSEEN, OLD = NOT RECENT
      case 'NEW':
        return { kind: 'and', keys: [RECENT, { kind: 'not', key: { kind: 'flag', flag: '\\Seen' } }] }
      case 'OLD':
        return { kind: 'not', key: RECENT }
      case 'RECENT':
        return RECENT
      case 'LARGER':
      case 'SMALLER':
        p.sp()
        return { kind: word === 'LARGER' ? 'larger' : 'smaller', size: p.number() }
      case 'UID':
        p.sp()
        return { kind: 'uid', set: p.sequenceSet() }
      case 'NOT':
        p.sp()
        return p.nested(() => ({ kind: 'not', key: this.#searchKey() }))
      case 'OR':
        return p.nested(() => this.#or())
      default:
        throw p.fail('search-key')
    }
  }

  // "OR" SP search-key SP search-key
  #or(): SearchKey {
    this.#p.sp()
    const first = this.#searchKey()
    this.#p.sp()
    return { kind: 'or', keys: [first, this.#searchKey()] }
  }

  /** SP astring, in the charset of the command, ready to compare. */
  #needle(): string {
    this.#p.sp()
    const bytes = this.#p.astring()
    const text = this.#charset === 'US-ASCII' && /[\x80-\xff]/.test(bytes) ? undefined : decodeUtf8(bytes)
    if (text === undefined) throw this.#p.fail(`astring in ${this.#charset}`)
    return foldCase(text)
  }
}

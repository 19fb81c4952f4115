/**
 * A strict reader of what an IMAP server writes, after the formal syntax of RFC 9051 9 with the parts of RFC 3501 9
 * that IMAP4rev1 adds (RECENT, LSUB, SEARCH, RFC822.*), RFC 2971, RFC 3348, RFC 4315, RFC 5530. Shares nothing with
 * the server. Works on byte strings (one char per octet).
 */

import { BodyGrammarReader } from './imap-body-grammar.ts'

/** One complete response, CRLF included, as a byte string. */
export type WireResponse = string

/** Cuts a server's whole output into responses; throws where it is not in the grammar. Bytes of an unfinished response throw too. */
export function parseServerOutput(bytes: Uint8Array): readonly WireResponse[] {
  const reader = new ResponseReader(Buffer.from(bytes).toString('latin1'))
  const responses: WireResponse[] = []
  while (!reader.atEnd) responses.push(reader.response())
  return responses
}

const ATOM = /[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+/y
const TAG = /[!#$&',\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+/y
const TEXT = /[\x01-\x09\x0b\x0c\x0e-\x7f]+/y
const CODE_TEXT = /[\x01-\x09\x0b\x0c\x0e-\x5c\x5e-\x7f]+/y
const BASE64 = /(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?/y
const DATE_TIME =
  /"(?: [1-9]|0[1-9]|[12][0-9]|3[01])-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)-[0-9]{4} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9] [+-][0-9]{4}"/y
const UID_SET = /[1-9][0-9]*(?::[1-9][0-9]*)?(?:,[1-9][0-9]*(?::[1-9][0-9]*)?)*/y
const FLAG = /\\?[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+/y
const SECTION_PATH = /[1-9][0-9]*(?:\.[1-9][0-9]*)*/y

/** Codes without arguments. */
const PLAIN_CODES = new Set(
  'ALERT PARSE READ-ONLY READ-WRITE TRYCREATE ALREADYEXISTS AUTHENTICATIONFAILED AUTHORIZATIONFAILED CANNOT CLIENTBUG CLOSED CONTACTADMIN CORRUPTION EXPIRED EXPUNGEISSUED HASCHILDREN INUSE LIMIT NONEXISTENT NOPERM OVERQUOTA PRIVACYREQUIRED SERVERBUG UIDNOTSTICKY UNAVAILABLE'.split(
    ' ',
  ),
)

const MAILBOX_FLAGS = new Set(
  '\\Noselect \\Noinferiors \\Marked \\Unmarked \\HasChildren \\HasNoChildren \\NonExistent \\Subscribed \\Drafts \\Sent \\Archive \\Junk \\Trash \\All \\Flagged'.split(
    ' ',
  ),
)

class ResponseReader extends BodyGrammarReader {
  response(): WireResponse {
    const start = this.at
    if (this.accept('+ ')) this.#continuation()
    else if (this.accept('* ')) this.#untagged()
    else this.#tagged()
    this.expect('\r\n')
    return this.text.slice(start, this.at)
  }

  // continue-req = "+" SP (resp-text / base64) CRLF
  #continuation(): void {
    const end = this.text.indexOf('\r\n', this.at)
    const line = this.text.slice(this.at, end)
    BASE64.lastIndex = 0
    if (BASE64.exec(line)?.[0] === line) this.at = end
    else this.#respText()
  }

  #tagged(): void {
    this.match(TAG, 'tag')
    this.sp()
    this.oneOf(['OK', 'NO', 'BAD'])
    this.sp()
    this.#respText()
  }

  #untagged(): void {
    if (/[0-9]/.test(this.peek())) {
      this.#numbered()
      return
    }
    const word = this.match(/[A-Z]+/y, 'response name')
    switch (word) {
      case 'OK':
      case 'NO':
      case 'BAD':
      case 'BYE':
      case 'PREAUTH':
        this.sp()
        this.#respText()
        return
      case 'CAPABILITY':
        this.#capabilities()
        return
      case 'ENABLED':
        while (this.accept(' ')) this.match(ATOM, 'capability')
        return
      case 'FLAGS':
        this.sp()
        this.#flags(false)
        return
      case 'LIST':
      case 'LSUB':
        this.#list()
        return
      case 'STATUS':
        this.#status()
        return
      case 'SEARCH':
        while (this.accept(' ')) this.nzNumber()
        return
      case 'NAMESPACE':
        for (let kind = 0; kind < 3; kind += 1) {
          this.sp()
          this.#namespace()
        }
        return
      case 'ID':
        this.sp()
        this.#id()
        return
      default:
        throw this.fail('an untagged response')
    }
  }

  // message-data = nz-number SP ("EXPUNGE" / ("FETCH" SP msg-att)) ; number SP "EXISTS" / "RECENT"
  #numbered(): void {
    const number = this.number()
    this.sp()
    const word = this.oneOf(['EXISTS', 'RECENT', 'EXPUNGE', 'FETCH'])
    if ((word === 'EXPUNGE' || word === 'FETCH') && number === 0) throw this.fail('nz-number')
    if (word !== 'FETCH') return
    this.sp()
    this.expect('(')
    do this.#msgAtt()
    while (this.accept(' '))
    this.expect(')')
  }

  #msgAtt(): void {
    const name = this.match(/[A-Z0-9.]+/y, 'msg-att')
    if (name === 'BODY' && this.peek() === '[') {
      this.#bodySection()
      return
    }
    this.sp()
    switch (name) {
      case 'FLAGS':
        this.#flags(true)
        return
      case 'UID':
        this.nzNumber()
        return
      case 'RFC822.SIZE':
        this.number()
        return
      case 'INTERNALDATE':
        this.match(DATE_TIME, 'date-time')
        return
      case 'ENVELOPE':
        this.envelope()
        return
      case 'BODY':
        this.body(false)
        return
      case 'BODYSTRUCTURE':
        this.body(true)
        return
      case 'RFC822':
      case 'RFC822.HEADER':
      case 'RFC822.TEXT':
        this.nstring()
        return
      default:
        throw this.fail('msg-att')
    }
  }

  // "BODY" section ["<" number ">"] SP nstring
  #bodySection(): void {
    this.expect('[')
    const hasPath = /[1-9]/.test(this.peek())
    if (hasPath) this.match(SECTION_PATH, 'section-part')
    if (this.peek() !== ']') {
      if (hasPath) this.expect('.')
      const text = this.match(/[A-Z.]+/y, 'section-text')
      if (!['HEADER', 'TEXT', 'MIME', 'HEADER.FIELDS', 'HEADER.FIELDS.NOT'].includes(text))
        throw this.fail('section-text')
      if (text === 'MIME' && !hasPath) throw this.fail('section-msgtext')
      if (text.includes('FIELDS')) {
        this.expect(' (')
        do this.astring()
        while (this.accept(' '))
        this.expect(')')
      }
    }
    this.expect(']')
    if (this.accept('<')) {
      this.number()
      this.expect('>')
    }
    this.sp()
    this.nstring()
  }

  // resp-text = ["[" resp-text-code "]" SP] text
  #respText(): void {
    if (this.accept('[')) {
      this.#code()
      this.expect('] ')
    }
    this.match(TEXT, 'text')
  }

  #code(): void {
    const name = this.match(/[A-Z0-9-]+/y, 'resp-text-code')
    if (PLAIN_CODES.has(name)) return
    switch (name) {
      case 'CAPABILITY':
        this.#capabilities()
        return
      case 'BADCHARSET':
        this.#badCharset()
        return
      case 'PERMANENTFLAGS':
        this.sp()
        this.#flags(false, true)
        return
      case 'UIDNEXT':
      case 'UIDVALIDITY':
      case 'UNSEEN':
        this.sp()
        this.nzNumber()
        return
      case 'APPENDUID':
        this.sp()
        this.nzNumber()
        this.sp()
        this.nzNumber()
        return
      case 'COPYUID':
        this.sp()
        this.nzNumber()
        this.sp()
        this.match(UID_SET, 'uid-set')
        this.sp()
        this.match(UID_SET, 'uid-set')
        return
      default:
        if (this.accept(' ')) this.match(CODE_TEXT, 'code text')
        throw this.fail(`a response code that is known (${name})`)
    }
  }

  #badCharset(): void {
    this.expect(' (')
    do this.astring()
    while (this.accept(' '))
    this.expect(')')
  }

  // capability-data = "CAPABILITY" *(SP capability) SP "IMAP4rev1" *(SP capability)
  #capabilities(): void {
    const names: string[] = []
    while (this.accept(' ')) names.push(this.match(ATOM, 'capability'))
    if (!names.includes('IMAP4rev1')) throw this.fail('IMAP4rev1')
    if (new Set(names).size < names.length) throw this.fail('each capability once')
  }

  #flags(isFetch: boolean, isPermanent = false): void {
    this.expect('(')
    if (this.accept(')')) return
    do {
      if (isPermanent && this.accept('\\*')) continue
      const flag = this.match(FLAG, 'flag')
      if (flag === '\\Recent' && !isFetch) throw this.fail('flag')
      const system = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft', '\\Recent']
      if (flag.startsWith('\\') && !system.includes(flag)) throw this.fail('a flag in its own spelling')
    } while (this.accept(' '))
    this.expect(')')
  }

  // mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
  #list(): void {
    this.sp()
    this.expect('(')
    if (!this.accept(')')) {
      do {
        if (!MAILBOX_FLAGS.has(this.match(FLAG, 'mbx-list-flag'))) throw this.fail('mbx-list-flag')
      } while (this.accept(' '))
      this.expect(')')
    }
    this.sp()
    this.match(/"[^"\\\r\n]"|NIL/y, 'hierarchy delimiter')
    this.sp()
    this.mailbox()
  }

  #status(): void {
    this.sp()
    this.mailbox()
    this.expect(' (')
    if (this.accept(')')) return
    do {
      const item = this.oneOf(['MESSAGES', 'RECENT', 'UIDNEXT', 'UIDVALIDITY', 'UNSEEN'])
      this.sp()
      if (item.startsWith('UID')) this.nzNumber()
      else this.number()
    } while (this.accept(' '))
    this.expect(')')
  }

  // namespace = nil / "(" 1*("(" string SP (DQUOTE QUOTED-CHAR DQUOTE / nil) ")") ")"
  #namespace(): void {
    if (this.accept('NIL')) return
    this.expect('(')
    do {
      this.expect('(')
      this.string()
      this.sp()
      this.match(/"[^"\\\r\n]"|NIL/y, 'hierarchy delimiter')
      this.expect(')')
    } while (this.peek() === '(')
    this.expect(')')
  }

  #id(): void {
    if (this.accept('NIL')) return
    this.expect('(')
    do {
      this.string()
      this.sp()
      this.nstring()
    } while (this.accept(' '))
    this.expect(')')
  }
}

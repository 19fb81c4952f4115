import { GrammarReader } from './imap-grammar-reader.ts'

/** ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 9), shape and all. */
export class BodyGrammarReader extends GrammarReader {
  envelope(): void {
    this.expect('(')
    this.nstring()
    this.sp()
    this.nstring()
    for (let list = 0; list < 6; list += 1) {
      this.sp()
      this.#addresses()
    }
    this.sp()
    this.nstring()
    this.sp()
    this.nstring()
    this.expect(')')
  }

  // env-from = "(" 1*address ")" / nil
  #addresses(): void {
    if (this.accept('NIL')) return
    this.expect('(')
    do {
      this.expect('(')
      for (let field = 0; field < 4; field += 1) {
        if (field > 0) this.sp()
        this.nstring()
      }
      this.expect(')')
    } while (this.peek() === '(')
    this.expect(')')
  }

  // body = "(" (body-type-1part / body-type-mpart) ")"
  body(extended: boolean): void {
    this.expect('(')
    if (this.peek() === '(') {
      do this.body(extended)
      while (this.peek() === '(')
      this.sp()
      this.string()
      if (extended) {
        this.sp()
        this.#parameters()
      }
    } else {
      this.#singlePart(extended)
    }
    if (extended) this.#bodyExtension()
    this.expect(')')
  }

  #singlePart(extended: boolean): void {
    const type = this.string().toLowerCase()
    this.sp()
    const subtype = this.string().toLowerCase()
    this.sp()
    this.#parameters()
    this.sp()
    this.nstring()
    this.sp()
    this.nstring()
    this.sp()
    this.string()
    this.sp()
    this.number()
    if (
      type === 'message' &&
      (subtype === 'rfc822' || subtype === 'global') &&
      this.at < this.text.length &&
      this.text.startsWith(' (', this.at)
    ) {
      this.sp()
      this.envelope()
      this.sp()
      this.body(extended)
      this.sp()
      this.number()
    } else if (type === 'text') {
      this.sp()
      this.number()
    }
    if (extended) {
      this.sp()
      this.nstring()
    }
  }

  #bodyExtension(): void {
    this.sp()
    if (!this.accept('NIL')) {
      this.expect('(')
      this.string()
      this.sp()
      this.#parameters()
      this.expect(')')
    }
    this.sp()
    if (this.peek() === '(') {
      this.expect('(')
      do this.string()
      while (this.accept(' '))
      this.expect(')')
    } else {
      this.nstring()
    }
    this.sp()
    this.nstring()
  }

  #parameters(): void {
    if (this.accept('NIL')) return
    this.expect('(')
    do {
      this.string()
      this.sp()
      this.string()
    } while (this.accept(' '))
    this.expect(')')
  }
}

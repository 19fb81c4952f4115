import type { ResponseCode } from './response.ts'

/** The peer's command is not in the grammar: answered BAD, naming the ABNF production that was expected and where. */
export class ImapSyntaxError extends Error {
  override readonly name = 'ImapSyntaxError'
  /** ABNF name of RFC 9051 9 that was expected. */
  readonly production: string
  /** Octets from the start of the command. */
  readonly offset: number

  constructor(production: string, offset: number) {
    super(`expected ${production} at octet ${offset}`)
    this.production = production
    this.offset = offset
  }
}

/** The command is well formed and is refused; holds the tagged reply. */
export class ImapReplyError extends Error {
  override readonly name = 'ImapReplyError'
  readonly status: 'NO' | 'BAD'
  readonly code: ResponseCode | undefined

  constructor(status: 'NO' | 'BAD', text: string, code?: ResponseCode) {
    super(text)
    this.status = status
    this.code = code
  }
}

/** The connection cannot go on in step: told with BYE, then closed. */
export class ImapByeError extends Error {
  override readonly name = 'ImapByeError'
}

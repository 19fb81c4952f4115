import type { Parser } from './parser.ts'

/** The arguments of LIST and LSUB; null for the empty pattern, which asks for the delimiter (RFC 9051 6.3.9). */
export interface ListArguments {
  /** Reference and mailbox joined, decoded, with its wildcards. */
  readonly pattern: string | null
}

// list = "LIST" SP mailbox SP list-mailbox ; lsub = "LSUB" SP mailbox SP list-mailbox
export function parseListArguments(p: Parser): ListArguments {
  p.sp()
  const reference = p.mailbox()
  p.sp()
  const mailbox = p.listMailbox()
  p.end()
  return { pattern: mailbox === '' ? null : `${reference}${mailbox}` }
}

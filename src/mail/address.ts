import { domainToASCII, domainToUnicode } from 'node:url'
import { parseAddressList } from './address-list.ts'
import { decodeCharset } from './charset.ts'
import { decodeHeaderText } from './encoded-words.ts'
import { fieldsNamed, fieldValue, type HeaderField } from './header.ts'

/** A mailbox of a header field as text. */
export interface MailAddress {
  /** Encoded words decoded, one line; empty when there is none. */
  readonly displayName: string
  /** `local@domain` as written (UTF-8 decoded); without `@` when the field has none. */
  readonly address: string
}

/** All mailboxes of the fields of that name, those inside groups too; a group's own name is no mailbox (case M11). */
export function mailboxesNamed(fields: readonly HeaderField[], name: string): readonly MailAddress[] {
  return fieldsNamed(fields, name)
    .flatMap((field) => parseAddressList(fieldValue(field)))
    .flatMap((entry) => (entry.kind === 'group' ? entry.members : [entry]))
    .map((entry) => ({
      displayName: entry.name === null ? '' : decodeHeaderText(entry.name).trim(),
      address: textOf(entry.domain === null ? entry.localPart : `${entry.localPart}@${entry.domain}`),
    }))
}

function textOf(byteText: string): string {
  return decodeCharset(Buffer.from(byteText, 'latin1'), undefined)
}

/** The two sides of the last `@`; undefined when either is empty. */
export function splitAddress(
  address: string,
): { readonly localPart: string; readonly domain: string } | undefined {
  const at = address.lastIndexOf('@')
  if (at < 1 || at === address.length - 1) return undefined
  return { localPart: address.slice(0, at), domain: address.slice(at + 1) }
}

/**
 * Lower case letter by letter, in no locale: no rule for the end of a word, and U+0130 becomes a plain i, as in CM
 * (CM wire 4); so equal in every run.
 */
export function lowerCaseAddress(address: string): string {
  return Array.from(address, (letter) => (letter === '\u0130' ? 'i' : letter.toLowerCase())).join('')
}

/** The domain as DNS knows it (`xn--…`, lower case); undefined when there is none or it cannot be one. */
export function asciiDomain(address: string): string | undefined {
  const ascii = domainToASCII(splitAddress(address)?.domain ?? '')
  return ascii === '' ? undefined : ascii
}

/** Every spelling of an address that means the same mailbox, lower case; equal lists for the same mailbox. */
export function addressSpellings(address: string): readonly string[] {
  return exactSpellings(lowerCaseAddress(address))
}

/**
 * An address with its domain as A-label (`xn--…`), as U-label (RFC 5891 4) and as given, the A-label first; the local
 * part, and the case of what is given, are left alone. CM hashes the spelling, so a look-up needs all.
 */
export function exactSpellings(address: string): readonly string[] {
  const sides = splitAddress(address)
  const ascii = asciiDomain(address)
  if (sides === undefined || ascii === undefined) return [address]
  const spellings = [ascii, domainToUnicode(ascii), sides.domain].map(
    (domain) => `${sides.localPart}@${domain}`,
  )
  return [...new Set(spellings)]
}

/** Whether two addresses are the same mailbox: without regard to case, domains in either IDN form. */
export function isSameAddress(one: string, other: string): boolean {
  return addressSpellings(one)[0] === addressSpellings(other)[0]
}

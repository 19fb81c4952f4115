import type { BlockKey } from './ids.ts'
import { addressHash } from './ids.ts'

/** How an e-mail address becomes the key of an address claim, and how it is read out of a user id (CM wire 4, design 9). */

/**
 * Letters that got a lower-case form after Unicode 5.2, whose tables the reference uses: it leaves them as they are,
 * so we must, or a claim is filed under another hash (vectors/address.json; taken from Python 2.7 code point by code point).
 */
const CASELESS_IN_UNICODE_5_2 =
  /[\u{37F}\u{526}-\u{52F}\u{10C7}\u{10CD}\u{13A0}-\u{13F5}\u{1C89}-\u{1CBF}\u{2C2F}\u{2CF2}\u{A660}\u{A698}-\u{A69B}\u{A78D}\u{A790}-\u{A7DC}\u{A7F5}\u{104B0}-\u{104D3}\u{10570}-\u{10595}\u{10C80}-\u{10CB2}\u{10D50}-\u{10D65}\u{118A0}-\u{118BF}\u{16E40}-\u{16E5F}\u{16EA0}-\u{16EB8}\u{1E900}-\u{1E921}]/u

/** Octets of an address we take; RFC 5321 allows 254, and the hash must not be a way to make us work. */
export const MAX_ADDRESS_BYTES = 320

/** C0, DEL, C1, line and paragraph separator: they forge status lines and headers (case K09, CM message 14.1). */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

/** A claim's address is one run without ASCII white space (CM wire 4). */
const ADDRESS = /^[^\s<>@]+(?:@[^\s<>@]+)*@[^\s<>@]+$/

/** True when the text holds a control character or a line separator. */
export function hasControlCharacter(text: string): boolean {
  return CONTROL.test(text)
}

function lowerCaseLetter(letter: string): string {
  // One letter for one letter, as Python's unicode.lower(): no final-sigma rule, and U+0130 becomes a plain i.
  if (letter === '\u0130') return 'i'
  return CASELESS_IN_UNICODE_5_2.test(letter) ? letter : letter.toLowerCase()
}

/** The address as a claim's producer writes it: Unicode lower case, letter by letter, no normalisation (CM wire 4). */
export function claimAddress(address: string): string {
  return Array.from(address, lowerCaseLetter).join('')
}

/** The address as the reference's look-up writes it: only A to Z are lowered (CM wire 4). */
export function asciiLowerCase(address: string): string {
  return address.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** The block keys to ask for, in order, without repeats: the full lower-case form first, then the ASCII one (CM wire 4). */
export function addressLookupKeys(address: string): readonly BlockKey[] {
  return [...new Set([claimAddress(address), asciiLowerCase(address)])].map(addressHash)
}

/** What a user id says about an address. `refused`: control characters or a line separator in it (design 9). */
export type UserIdAddress =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'refused' }

/** Reads the address of a user id: the last `<…>`, else the whole id when it is a bare address (design 9, case K09). */
export function addressOfUserId(userId: string): UserIdAddress {
  if (hasControlCharacter(userId)) return { kind: 'refused' }
  const open = userId.lastIndexOf('<')
  const close = userId.indexOf('>', open)
  const text = open >= 0 && close >= 0 ? userId.slice(open + 1, close) : userId.trim()
  return isAddress(text) ? { kind: 'address', address: text } : { kind: 'none' }
}

/** True for `local@domain` without white space, angle brackets or control characters, of at most MAX_ADDRESS_BYTES octets. */
export function isAddress(text: string): boolean {
  return ADDRESS.test(text) && !hasControlCharacter(text) && Buffer.byteLength(text) <= MAX_ADDRESS_BYTES
}

/** A display name as it may stand before `<address>` in a user id: no control characters, no angle brackets. */
export function userIdName(name: string): string {
  return name.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029<>]+/g, ' ').trim()
}

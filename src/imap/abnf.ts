/** Character classes of RFC 9051 9, on byte strings (one char per octet). */

// atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials
const ATOM = /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+$/
const ASTRING_ATOM = /^[!#$&'+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+$/
const QUOTABLE = /^[\x01-\x09\x0b\x0c\x0e-\x7f]*$/

/** True for `1*ATOM-CHAR`. */
export function isAtom(text: string): boolean {
  return ATOM.test(text)
}

/** True for `1*ASTRING-CHAR`: ATOM-CHAR or `]`. */
export function isAstringAtom(text: string): boolean {
  return ASTRING_ATOM.test(text)
}

/** True when the octets may stand in a quoted string of an IMAP4rev1 session: no CR, LF, NUL, nothing 8-bit. */
export function isQuotable(text: string): boolean {
  return QUOTABLE.test(text)
}

import { asciiDomain } from '../mail/address.ts'

/** Scripts that look alike in places, or are common in domain names; those of one line stand together by custom. */
const SCRIPTS: readonly RegExp[] = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
  /\p{Script=Coptic}/u,
  /\p{Script=Georgian}/u,
  /\p{Script=Hebrew}/u,
  /\p{Script=Arabic}/u,
  /\p{Script=Devanagari}/u,
  /\p{Script=Thai}/u,
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}]/u,
]

/**
 * An address for people: as it was typed; where letters of several scripts stand in it, the A-label of its domain is
 * beside it, since one letter may be dressed up as another (case S19).
 */
export function shownAddress(address: string): string {
  const ascii = asciiDomain(address)
  const isAscii = ascii === undefined || address.toLowerCase().endsWith(`@${ascii}`)
  return !isAscii && mixesScripts(address) ? `${address} (${ascii})` : address
}

function mixesScripts(text: string): boolean {
  const letters = text.match(/\p{L}/gu) ?? []
  const scripts = new Set(letters.map((letter) => SCRIPTS.findIndex((script) => script.test(letter))))
  return scripts.size > 1
}

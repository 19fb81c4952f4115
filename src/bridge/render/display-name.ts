import { domainToASCII } from 'node:url'
import { addressOfUserId, isAddress } from '../../cm/address.ts'
import type { KeyId } from '../../cm/ids.ts'
import { splitAddress } from '../../mail/address.ts'
import { encodeMailbox } from '../../mail/encode-field.ts'
import { KEY_ADDRESS_DOMAIN } from '../pins.ts'

/** Octets, UTF-8, of a name in a header field: its encoded words and a fingerprint then fit one line. */
const MAX_NAME_BYTES = 160
/** From so many hex digits on a run could be taken for a fingerprint or its beginning (design 10). */
const MIN_HEX_RUN_DIGITS = 16

/** A person in From, To or Cc: the key, and what is known of its owner's name. */
export interface Party {
  readonly keyId: KeyId
  /** The user id to show of the key, when we hold the key; it beats the message's own text. */
  readonly userId: string | undefined
  /** What the message's header says before the key id; anybody's text. */
  readonly headerText: string
}

export interface ShownParty {
  /** One line of clean text without any fingerprint; may be empty. */
  readonly name: string
  /** ASCII. Of the user id, else `<40hex>@cm.invalid`, to which a reply goes as well (design 7.3). */
  readonly address: string
}

/** Controls, line separators and what turns the direction of text. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\uFFF9-\uFFFB]+/gu
/** Characters that show nothing; joiners and variation selectors stay, names and emoji need them. */
const INVISIBLE = /(?!\u200C|\u200D|[\uFE00-\uFE0F])\p{Default_Ignorable_Code_Point}/gu
/** What people and programs read over between two digits. */
const IGNORED_BETWEEN_DIGITS = /[\s:\p{Z}\p{Pd}\p{Cc}\p{Cf}\p{Mn}\p{Default_Ignorable_Code_Point}\u00B7]/u
/** Hex digits, every digit of other scripts, and Cyrillic and Greek letters that look like A to F. */
const LOOKS_LIKE_HEX = /[0-9a-fA-F\p{Nd}\u0410\u0412\u0421\u0415\u0430\u0441\u0435\u0391\u0392\u0395]/u

/**
 * A name fit to stand before a fingerprint of ours: every run of 16 or more hex digits becomes `…`, also with spaces,
 * colons, dashes or invisible characters between them, so that nobody else's fingerprint can stand there (design 10).
 */
export function cleanName(text: string): string {
  const shown = withoutHexRuns(text.toWellFormed())
    .replace(UNSAFE, ' ')
    .replace(INVISIBLE, '')
    .replace(/[<>]/g, ' ')
    .replace(/\s+/gu, ' ')
    .trim()
  return cut(shown)
}

function looksLikeHex(character: string): boolean {
  // Full-width and mathematical letters and digits are folded to the plain ones.
  return LOOKS_LIKE_HEX.test(character) || /^[0-9a-fA-F]$/.test(character.normalize('NFKC'))
}

function withoutHexRuns(text: string): string {
  const characters = Array.from(text)
  let result = ''
  let position = 0
  while (position < characters.length) {
    const run = hexRun(characters, position)
    if (run.digits < MIN_HEX_RUN_DIGITS) {
      // Not even one digit here: pass over the one character.
      const end = Math.max(run.end, position + 1)
      result += characters.slice(position, end).join('')
      position = end
    } else {
      const { start, end } = withoutPartsOfWords(characters, { start: position, end: run.end })
      result += `${characters.slice(position, start).join('')}…${characters.slice(end, run.end).join('')}`
      position = run.end
    }
  }
  return result
}

/** The run of digits that starts here; `end` is behind its last digit. */
function hexRun(
  characters: readonly string[],
  start: number,
): { readonly digits: number; readonly end: number } {
  let digits = 0
  let end = start
  for (let index = start; index < characters.length; index += 1) {
    const character = characters[index] ?? ''
    if (looksLikeHex(character)) {
      digits += 1
      end = index + 1
    } else if (digits === 0 || !IGNORED_BETWEEN_DIGITS.test(character)) break
  }
  return { digits, end }
}

interface Span {
  readonly start: number
  readonly end: number
}

/** The run without the end of the word before it and the start of the word behind it (Bo**b** 1234…), if it stays one. */
function withoutPartsOfWords(characters: readonly string[], run: Span): Span {
  let { start, end } = run
  if (isLetter(characters[start - 1])) while (looksLikeHex(characters[start] ?? '')) start += 1
  if (isLetter(characters[end])) while (looksLikeHex(characters[end - 1] ?? '')) end -= 1
  const digits = characters.slice(start, end).filter(looksLikeHex).length
  if (digits < MIN_HEX_RUN_DIGITS) return run
  // The blanks between word and run stay as well.
  while (!looksLikeHex(characters[start] ?? '')) start += 1
  while (!looksLikeHex(characters[end - 1] ?? '')) end -= 1
  return { start, end }
}

function isLetter(character: string | undefined): boolean {
  return character !== undefined && /\p{L}/u.test(character)
}

function cut(text: string): string {
  if (Buffer.byteLength(text) <= MAX_NAME_BYTES) return text
  let result = ''
  for (const character of text) {
    if (Buffer.byteLength(result + character) > MAX_NAME_BYTES - Buffer.byteLength('…')) break
    result += character
  }
  return `${result.trimEnd()}…`
}

/** Name and address of a party, from its key's user id when we hold the key, else from the message's own text. */
export function showParty(party: Party): ShownParty {
  const text = party.userId ?? party.headerText
  const found = addressOfUserId(text)
  const keyAddress = `${party.keyId}@${KEY_ADDRESS_DOMAIN}`
  if (found.kind !== 'address') return { name: cleanName(text), address: keyAddress }
  const ascii = asciiAddress(found.address)
  const name = cleanName(nameBefore(text, found.address))
  if (ascii !== undefined) return { name, address: ascii }
  return { name: cleanName(`${name} (${found.address})`), address: keyAddress }
}

/** The user id without its address: `Name (comment)`; empty for a bare address. */
function nameBefore(userId: string, address: string): string {
  const open = userId.lastIndexOf(`<${address}>`)
  return open < 0 ? '' : userId.slice(0, open)
}

/**
 * A sender with the text of its From line where that says something else than its key, as list mail does (CM message 8,
 * trap 32): `Ann via List` alone when it ends in the key's own name, else behind that name.
 */
export function showSender(party: Party): ShownParty {
  const shown = showParty(party)
  const text = ownText(party)
  if (text === undefined) return shown
  const endsInName = shown.name !== '' && plainName(text).endsWith(` ${plainName(shown.name)}`)
  const name = endsInName ? text : `${shown.name} (${text})`
  return { ...shown, name: cleanName(name.trim()) }
}

/** What the From line says beside or instead of the key's user id; undefined when it says the same. */
function ownText({ userId, headerText }: Party): string | undefined {
  if (userId === undefined || headerText.trim() === '') return undefined
  const [key, given] = [addressOfUserId(userId), addressOfUserId(headerText)]
  const keyAddress = key.kind === 'address' ? key.address : ''
  const address = given.kind === 'address' ? given.address : ''
  const name = address === '' ? headerText : nameBefore(headerText, address)
  const keyName = nameBefore(userId, keyAddress)
  const isSame = address.toLowerCase() === keyAddress.toLowerCase()
  if (isSame && plainName(name) === plainName(keyName)) return undefined
  const text = cleanName(isSame || address === '' ? name : `${name} ${address}`)
  return text === '' ? undefined : text
}

/** For comparing: a comment, case and blanks say nothing. */
function plainName(name: string): string {
  return cleanName(name.replace(/\([^()]*\)/g, ' ')).toLowerCase()
}

/** With an A-label domain; undefined when there is no ASCII form, which header fields must have. */
export function asciiAddress(address: string): string | undefined {
  if (/^[!-~]+$/.test(address))
    return isAddress(address) && !/[(),;:\\"[\]]/.test(address) ? address : undefined
  const sides = splitAddress(address)
  const domain = sides === undefined ? '' : domainToASCII(sides.domain)
  if (sides === undefined || domain === '' || !/^[!-~]+$/.test(sides.localPart)) return undefined
  return asciiAddress(`${sides.localPart}@${domain}`)
}

/** The mailbox of an address field; `showsText` as `showSender`; with `fingerprint` the 40 hex digits are the last word of its name (design 10). */
export function encodeParty(
  party: Party,
  options: { readonly fingerprint: boolean; readonly showsText?: boolean },
): string {
  const { name, address } = options.showsText === true ? showSender(party) : showParty(party)
  if (!options.fingerprint) return encodeMailbox(name, address)
  if (name === '') return encodeMailbox(party.keyId, address)
  const mailbox = encodeMailbox(name, address)
  // A name that became encoded words stays apart, so that the fingerprint can be read in the source.
  return mailbox.startsWith('"')
    ? mailbox.replace(/" (<[^<>]*>)$/, ` ${party.keyId}" $1`)
    : mailbox.replace(/ (<[^<>]*>)$/, ` ${party.keyId} $1`)
}

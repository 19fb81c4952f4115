import { singleLine } from './encoded-words.ts'

/** RFC 5322 2.1.1: lines should stay under 78 characters. */
const LINE_CHARS = 76
/** Octets of text in one base64 encoded word, so that the word stays within 75 characters (RFC 2047 2). */
const WORD_BYTES = 42

/**
 * One whole field `Name: text` with its CRLF, folded; text that is not plain ASCII becomes encoded words
 * (RFC 2047). Line breaks, NUL and other controls in the text become blanks: nothing can start another field.
 */
export function encodeTextField(name: string, text: string): string {
  const line = singleLine(text).trim()
  const words = isPlain(line) ? foldable(line) : encodedWords(line)
  return `${name}: ${fold(words, name.length + 2)}\r\n`
}

/** One whole address field with its CRLF, folded between addresses. Members come from `encodeMailbox`. */
export function encodeAddressField(name: string, mailboxes: readonly string[]): string {
  const items = mailboxes.map((mailbox, index) => (index < mailboxes.length - 1 ? `${mailbox},` : mailbox))
  return `${name}: ${fold(items, name.length + 2)}\r\n`
}

/** `"name" <address>`; the address must have been checked to be one. Controls in either become blanks. */
export function encodeMailbox(displayName: string, address: string): string {
  const name = singleLine(displayName).trim()
  const inner = `<${singleLine(address).replace(/[\s<>]/g, '')}>`
  if (name === '') return inner
  const phrase = isPlain(name) ? `"${name.replace(/[\\"]/g, '\\$&')}"` : encodedWords(name).join(' ')
  return `${phrase} ${inner}`
}

/** Printable ASCII that nobody takes for an encoded word and that has no word too long for a line. */
function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text) && !text.includes('=?') && !/\S{900}/.test(text)
}

/** Words with the blanks in front of them cut to one, which is where the field may be folded. */
function foldable(text: string): readonly string[] {
  // Two blanks in a row stay: the first ends the word before.
  return text.split(/(?<=[^ ] *) (?=[^ ])/)
}

function encodedWords(text: string): readonly string[] {
  const words: string[] = []
  let chunk = ''
  for (const character of text) {
    if (Buffer.byteLength(chunk + character) > WORD_BYTES) {
      words.push(encodedWord(chunk))
      chunk = ''
    }
    chunk += character
  }
  words.push(encodedWord(chunk))
  return words
}

function encodedWord(text: string): string {
  return `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`
}

function fold(words: readonly string[], indent: number): string {
  let result = ''
  let column = indent
  for (const word of words) {
    if (result === '') result = word
    else if (column + 1 + word.length > LINE_CHARS) {
      result += `\r\n ${word}`
      column = 0
    } else result += ` ${word}`
    column += word.length + 1
  }
  return result
}

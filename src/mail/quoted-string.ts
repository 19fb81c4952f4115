/**
 * Reads a quoted-string (RFC 5322 3.2.4) whose opening quote stands at `start`: its content without quotes and
 * backslashes, and the position behind the closing quote. One that never ends goes to the end of the text.
 */
export function readQuotedString(
  text: string,
  start: number,
): { readonly value: string; readonly end: number } {
  let value = ''
  let position = start + 1
  while (position < text.length && text[position] !== '"') {
    if (text[position] === '\\' && position + 1 < text.length) position++
    value += text[position]
    position++
  }
  return { value, end: position + 1 }
}

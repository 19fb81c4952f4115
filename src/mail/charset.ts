/** Text of octets in the charset a sender names (RFC 2045 5.2, RFC 2047 2). */

/** Labels that say nothing: the octets are looked at instead. */
const UNTOLD = /^(?:|us-ascii|ascii|utf-?8|x-unknown|unknown(?:-8bit)?|default|binary|8bit|ansi_x3\.4-1968)$/

/**
 * Decodes by the label; a label that is missing, says nothing or is not known means UTF-8 when the octets are valid
 * UTF-8, else Windows-1252. Never throws. Invalid sequences become U+FFFD; a byte-order mark is dropped.
 */
export function decodeCharset(bytes: Uint8Array, label: string | undefined): string {
  const name = (label ?? '').trim().toLowerCase()
  const decoder = UNTOLD.test(name) ? undefined : findDecoder(name)
  if (decoder !== undefined) return decoder.decode(bytes)
  // A file that says UTF-8 and is not quite gets replacement characters, not another alphabet.
  if (/^utf-?8$/.test(name)) return new TextDecoder().decode(bytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}

function findDecoder(name: string): TextDecoder | undefined {
  try {
    return new TextDecoder(name)
  } catch {
    // RangeError: a label nobody knows. Not an error of ours; the octets decide.
    return undefined
  }
}

/** Modified UTF-7, the spelling of mailbox names on the wire (RFC 3501 5.1.3). */

/** Encodes a Unicode name; printable ASCII stays, `&` becomes `&-`, the rest is UTF-16BE in a base64 of its own. */
export function encodeModifiedUtf7(name: string): string {
  return name.replace(/&|[^\x20-\x7e]+/g, (run) => (run === '&' ? '&-' : `&${encodeRun(run)}-`))
}

function encodeRun(run: string): string {
  const utf16 = Buffer.from(run, 'utf16le').swap16()
  return utf16.toString('base64').replace(/=+$/, '').replaceAll('/', ',')
}

/**
 * Decodes a name; undefined for anything but the one canonical spelling (8-bit octets, an open shift, encoded ASCII,
 * lone surrogates, bits left over), so that two spellings never name one mailbox.
 */
export function decodeModifiedUtf7(encoded: string): string | undefined {
  const name = encoded.replace(/&([A-Za-z0-9+,]*)-/g, (_shift, run: string) =>
    run === '' ? '&' : decodeRun(run),
  )
  return name.isWellFormed() && encodeModifiedUtf7(name) === encoded ? name : undefined
}

function decodeRun(run: string): string {
  const utf16 = Buffer.from(run.replaceAll(',', '/'), 'base64')
  return utf16
    .subarray(0, utf16.length & ~1)
    .swap16()
    .toString('utf16le')
}

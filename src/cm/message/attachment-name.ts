/**
 * Names of attachments, made safe for a ZIP entry, a mail header and a disk, in both directions: the reference neither
 * checks what it writes nor what it reads (CM message 1.5, trap 19).
 */

/** Octets, UTF-8, of an attachment's entry name with its leading `_` (CM message, trap 19). */
const MAX_ENTRY_NAME_BYTES = 200
const MAX_NAME_BYTES = MAX_ENTRY_NAME_BYTES - 1
const MAX_EXTENSION_BYTES = 20

// C0, DEL, C1, line separators, and the direction overrides that turn "exe.fdp" around.
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+/g
// Windows opens a device instead of a file, whatever the extension.
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?=[ ]*(?:\.|$))/i

/**
 * The name without path, control characters, leading dots, trailing dots or blanks, device names; NFC, well-formed,
 * at most 199 octets, the extension kept. Never empty; a safe name comes back unchanged.
 */
export function safeAttachmentName(raw: string): string {
  const base = baseName(raw.toWellFormed().normalize('NFC'))
  const clean = base.replace(UNSAFE, '').replace(/^[\s.]+/, '')
  const trimmed = withoutTrailing(clean, ' .')
  const named = trimmed === '' ? 'attachment' : trimmed
  return shorten(DEVICE.test(named) ? `file-${named}` : named)
}

/**
 * The names of one message, each safe and all different without regard to case: ` (2)` before the extension. Names that
 * came from here come back unchanged, so whoever needs the entry names beforehand may ask for them.
 */
export function safeAttachmentNames(raw: readonly string[]): string[] {
  const taken = new Set<string>()
  const nextNumber = new Map<string, number>()
  return raw.map((name) => {
    const safe = safeAttachmentName(name)
    let candidate = safe
    let number = nextNumber.get(caseKey(safe)) ?? 2
    while (taken.has(caseKey(candidate))) {
      candidate = numbered(safe, number)
      number += 1
    }
    nextNumber.set(caseKey(safe), number)
    taken.add(caseKey(candidate))
    return candidate
  })
}

function caseKey(name: string): string {
  return name.toUpperCase().toLowerCase()
}

/** What follows the last separator of either system; a name that ends in separators is what stands before them. */
function baseName(path: string): string {
  const trimmed = withoutTrailing(path, '/\\')
  return trimmed.slice(Math.max(trimmed.lastIndexOf('/'), trimmed.lastIndexOf('\\')) + 1)
}

/** By hand: an anchored-at-the-end regular expression is quadratic in long runs. */
function withoutTrailing(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text.charAt(end - 1))) end -= 1
  return text.slice(0, end)
}

function splitExtension(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf('.')
  const extension = name.slice(dot)
  if (dot <= 0 || Buffer.byteLength(extension) > MAX_EXTENSION_BYTES) return [name, '']
  return [name.slice(0, dot), extension]
}

function numbered(name: string, number: number): string {
  return shorten(name, ` (${number})`)
}

/** The name with `suffix` before its extension, its stem cut so that all of it stays within the limit. */
function shorten(name: string, suffix = ''): string {
  const [stem, extension] = splitExtension(name)
  const room = MAX_NAME_BYTES - Buffer.byteLength(suffix + extension)
  if (Buffer.byteLength(stem) <= room) return `${stem}${suffix}${extension}`
  let cut = ''
  let length = 0
  for (const character of stem) {
    length += Buffer.byteLength(character)
    if (length > room) break
    cut += character
  }
  return `${withoutTrailing(cut, ' .')}${suffix}${extension}`
}

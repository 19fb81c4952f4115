/** ASCII armor of keys (RFC 9580 6): the strict form of the network; what people paste is read by `pasted-keys.ts`. */

export const ARMOR_LABELS = { public: 'PGP PUBLIC KEY BLOCK', secret: 'PGP PRIVATE KEY BLOCK' } as const

const begin = (kind: keyof typeof ARMOR_LABELS): string => `-----BEGIN ${ARMOR_LABELS[kind]}-----`
const end = (kind: keyof typeof ARMOR_LABELS): string => `-----END ${ARMOR_LABELS[kind]}-----`

const CRC24_START = 0xb704ce
const CRC24_POLYNOMIAL = 0x1864cfb

/** RFC 9580 6.1.1. */
export function crc24(bytes: Uint8Array): number {
  let crc = CRC24_START
  for (const byte of bytes) {
    crc ^= byte << 16
    for (let bit = 0; bit < 8; bit++) {
      crc <<= 1
      if ((crc & 0x1000000) !== 0) crc ^= CRC24_POLYNOMIAL
    }
  }
  return crc & 0xffffff
}

/** True when the four characters behind `=` are the checksum of these octets. */
export function isChecksumOf(checksum: string, bytes: Uint8Array): boolean {
  const stated = Buffer.from(checksum, 'base64')
  return stated.length === 3 && stated.readUIntBE(0, 3) === crc24(bytes)
}

const ARMOR_LINE_CHARACTERS = 64

/** The armor GnuPG writes, with checksum and without headers, LF line ends. */
export function encodeArmor(kind: keyof typeof ARMOR_LABELS, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes).toString('base64')
  const lines = base64.match(new RegExp(`.{1,${ARMOR_LINE_CHARACTERS}}`, 'g')) ?? []
  const checksum = Buffer.alloc(3)
  checksum.writeUIntBE(crc24(bytes), 0, 3)
  return `${[begin(kind), '', ...lines, `=${checksum.toString('base64')}`, end(kind)].join('\n')}\n`
}

export type Dearmored =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | {
      readonly kind: 'refused'
      readonly reason: 'secret-key' | 'not-a-key' | 'several-certificates' | 'corrupt'
    }

/** Looked for once a run: a long run of blanks that ends nothing must not be tried from each of them (S9). */
const TRAILING_BLANKS = /(?<![ \t\r])[ \t\r]+$/

/**
 * One armored public key as it comes from the network: CRLF, blanks at line ends, headers, text around and a missing
 * checksum are fine, since GnuPG takes them; anything else is not (case K11).
 */
export function dearmorPublicKey(text: string): Dearmored {
  const lines = text.split('\n').map((line) => line.replace(TRAILING_BLANKS, ''))
  if (lines.includes(begin('secret'))) return { kind: 'refused', reason: 'secret-key' }
  const first = lines.indexOf(begin('public'))
  const last = lines.indexOf(end('public'), first)
  if (first < 0 || last < 0) return { kind: 'refused', reason: 'not-a-key' }
  if (lines.includes(begin('public'), first + 1)) return { kind: 'refused', reason: 'several-certificates' }
  const empty = lines.indexOf('', first)
  if (empty < 0 || empty > last) return { kind: 'refused', reason: 'not-a-key' }
  const body = lines.slice(empty + 1, last)
  const checksum = body.at(-1)?.startsWith('=') ? body.pop()?.slice(1) : undefined
  const base64 = body.join('')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return { kind: 'refused', reason: 'corrupt' }
  const bytes = Buffer.from(base64, 'base64')
  if (checksum !== undefined && !isChecksumOf(checksum, bytes)) return { kind: 'refused', reason: 'corrupt' }
  return { kind: 'bytes', bytes }
}

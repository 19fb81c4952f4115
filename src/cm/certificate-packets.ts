import { hasControlCharacter } from './address.ts'
import { decodeBlockText } from './block-text.ts'
import type { CertificateRefusal } from './certificate.ts'
import { MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_PACKETS, MAX_USER_IDS } from './certificate.ts'

/**
 * Counts and judges the packets of a key before openpgp.js sees it (design 9, cases K03 and K13): lengths, versions
 * and one certificate only, without doing any cryptography.
 */

const TAG = { secretKey: 5, publicKey: 6, secretSubkey: 7, userId: 13, publicSubkey: 14 } as const
const ARMOR_BEGIN = '-----BEGIN PGP PUBLIC KEY BLOCK-----'
const ARMOR_END = '-----END PGP PUBLIC KEY BLOCK-----'
const SECRET_ARMOR = '-----BEGIN PGP PRIVATE KEY BLOCK-----'

type Refused = { readonly kind: 'refused'; readonly reason: CertificateRefusal }
type Bytes = { readonly kind: 'bytes'; readonly bytes: Buffer }

/** `isNameUnreadable`: an id is not UTF-8, so that openpgp.js cannot check its self-signature (case K08). */
export type CertificatePackets =
  | { readonly kind: 'ok'; readonly bytes: Buffer; readonly isNameUnreadable: boolean }
  | Refused

function refused(reason: CertificateRefusal): Refused {
  return { kind: 'refused', reason }
}

const CRC24_START = 0xb704ce
const CRC24_POLYNOMIAL = 0x1864cfb

/** RFC 9580 6.1.1. */
function crc24(bytes: Uint8Array): number {
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

function isChecksumOf(base64: string, bytes: Uint8Array): boolean {
  const checksum = Buffer.from(base64, 'base64')
  return checksum.length === 3 && checksum.readUIntBE(0, 3) === crc24(bytes)
}

/** One armored block; CRLF, blanks at line ends, headers, text around and a missing checksum are fine (case K11). */
function dearmor(text: string): Bytes | Refused {
  const lines = text.split('\n').map((line) => line.trimEnd())
  if (lines.includes(SECRET_ARMOR)) return refused('secret-key')
  const begin = lines.indexOf(ARMOR_BEGIN)
  const end = lines.indexOf(ARMOR_END, begin)
  if (begin < 0 || end < 0) return refused('not-a-key')
  if (lines.includes(ARMOR_BEGIN, begin + 1)) return refused('several-certificates')
  const empty = lines.indexOf('', begin)
  if (empty < 0 || empty > end) return refused('not-a-key')
  const body = lines.slice(empty + 1, end)
  const checksum = body.at(-1)?.startsWith('=') ? body.pop()?.slice(1) : undefined
  const base64 = body.join('')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return refused('corrupt')
  const bytes = Buffer.from(base64, 'base64')
  if (checksum !== undefined && !isChecksumOf(checksum, bytes)) return refused('corrupt')
  return { kind: 'bytes', bytes }
}

interface Packet {
  readonly tag: number
  readonly body: Buffer
  readonly next: number
}

/** One packet header, old or new format (RFC 9580 4.2); partial and indeterminate lengths never occur in keys. */
function readPacket(bytes: Buffer, start: number): Packet | undefined {
  const first = bytes[start] ?? 0
  if ((first & 0x80) === 0) return undefined
  const isNew = (first & 0x40) !== 0
  const header = isNew ? readNewLength(bytes, start + 1) : readOldLength(bytes, start + 1, first & 3)
  if (header === undefined || header.body + header.length > bytes.length) return undefined
  const tag = isNew ? first & 0x3f : (first >> 2) & 0xf
  const next = header.body + header.length
  return { tag, body: bytes.subarray(header.body, next), next }
}

interface PacketLength {
  readonly body: number
  readonly length: number
}

function readNewLength(bytes: Buffer, at: number): PacketLength | undefined {
  const first = bytes[at]
  if (first === undefined || (first >= 224 && first < 255)) return undefined
  if (first < 192) return { body: at + 1, length: first }
  if (first < 224) return { body: at + 2, length: ((first - 192) << 8) + (bytes[at + 1] ?? 0) + 192 }
  return at + 5 <= bytes.length ? { body: at + 5, length: bytes.readUInt32BE(at + 1) } : undefined
}

function readOldLength(bytes: Buffer, at: number, lengthType: number): PacketLength | undefined {
  const size = [1, 2, 4][lengthType]
  if (size === undefined || at + size > bytes.length) return undefined
  return { body: at + size, length: bytes.readUIntBE(at, size) }
}

function readPackets(bytes: Buffer): readonly Packet[] | Refused {
  const packets: Packet[] = []
  for (let at = 0; at < bytes.length; ) {
    const packet = readPacket(bytes, at)
    if (packet === undefined) return refused(packets.length === 0 ? 'not-a-key' : 'corrupt')
    if (packets.push(packet) > MAX_CERTIFICATE_PACKETS) return refused('too-large')
    at = packet.next
  }
  return packets
}

function versionRefusal(packet: Packet): CertificateRefusal | undefined {
  const version = packet.body[0] ?? 0
  if (version === 4) return undefined
  return version > 4 ? 'version-6' : 'version-3'
}

function judgePackets(packets: readonly Packet[]): CertificateRefusal | undefined {
  if (packets.some((packet) => packet.tag === TAG.secretKey || packet.tag === TAG.secretSubkey)) {
    return 'secret-key'
  }
  if (packets[0]?.tag !== TAG.publicKey) return 'not-a-key'
  if (packets.filter((packet) => packet.tag === TAG.publicKey).length > 1) return 'several-certificates'
  const keys = packets.filter((packet) => packet.tag === TAG.publicKey || packet.tag === TAG.publicSubkey)
  const versions = keys.map(versionRefusal).find((reason) => reason !== undefined)
  if (versions !== undefined) return versions
  return packets.filter((packet) => packet.tag === TAG.userId).length > MAX_USER_IDS ? 'too-large' : undefined
}

/** Reads and judges a key, armored or binary; nothing is verified. */
export function readCertificatePackets(input: string | Uint8Array): CertificatePackets {
  if (input.length > MAX_CERTIFICATE_BYTES) return refused('too-large')
  const unwrapped = unwrap(input)
  if (unwrapped.kind === 'refused') return unwrapped
  const packets = readPackets(unwrapped.bytes)
  if (!Array.isArray(packets)) return packets as Refused
  const refusal = judgePackets(packets)
  if (refusal !== undefined) return refused(refusal)
  const names = packets
    .filter((packet) => packet.tag === TAG.userId)
    .map((packet) => decodeBlockText(packet.body))
  if (names.some((name) => name !== undefined && hasControlCharacter(name)))
    return refused('control-character')
  return { kind: 'ok', bytes: unwrapped.bytes, isNameUnreadable: names.includes(undefined) }
}

function unwrap(input: string | Uint8Array): Bytes | Refused {
  if (typeof input === 'string') return dearmor(input)
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  return ((bytes[0] ?? 0) & 0x80) !== 0 && bytes[0] !== 0xef
    ? { kind: 'bytes', bytes }
    : dearmor(bytes.toString('latin1'))
}

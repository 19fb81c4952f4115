import { hasControlCharacter } from './address.ts'
import { type Dearmored, dearmorPublicKey } from './armor.ts'
import { decodeBlockText } from './block-text.ts'
import type { CertificateRefusal } from './certificate.ts'
import { MAX_CERTIFICATE_BYTES, MAX_CERTIFICATE_PACKETS, MAX_USER_IDS } from './certificate.ts'

/**
 * Counts and judges the packets of a key before openpgp.js sees it (design 9, cases K03 and K13): lengths, versions
 * and one certificate only, without doing any cryptography.
 */

/** Packet tags of keys (RFC 9580 5). */
export const TAG = {
  secretKey: 5,
  publicKey: 6,
  secretSubkey: 7,
  userId: 13,
  publicSubkey: 14,
  userAttribute: 17,
} as const

type Refused = { readonly kind: 'refused'; readonly reason: CertificateRefusal }

export type CertificatePackets =
  | {
      readonly kind: 'ok'
      /** The key without its user attributes. */
      readonly bytes: Buffer
      /** A user id is not UTF-8, so that openpgp.js cannot check its self-signature (case K08). */
      readonly isNameUnreadable: boolean
      /** There were user attributes: photos, up to a quarter of a megabyte that nobody here looks at (case K14). */
      readonly hadAttributes: boolean
    }
  | Refused

function refused(reason: CertificateRefusal): Refused {
  return { kind: 'refused', reason }
}

/** One packet of a key. */
export interface Packet {
  /** RFC 9580 5. */
  readonly tag: number
  readonly body: Buffer
  /** Where it begins, and the next one does. */
  readonly start: number
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
  return { tag, body: bytes.subarray(header.body, next), start, next }
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

/** The packets of a key or of several, at most as many as a key may have; nothing is judged. */
export function readPackets(
  bytes: Buffer,
  maxPackets = MAX_CERTIFICATE_PACKETS,
): { readonly kind: 'packets'; readonly packets: readonly Packet[] } | Refused {
  const packets: Packet[] = []
  for (let at = 0; at < bytes.length; ) {
    const packet = readPacket(bytes, at)
    if (packet === undefined) return refused(packets.length === 0 ? 'not-a-key' : 'corrupt')
    if (packets.push(packet) > maxPackets) return refused('too-large')
    at = packet.next
  }
  return { kind: 'packets', packets }
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
  const read = readPackets(unwrapped.bytes)
  if (read.kind === 'refused') return read
  const { packets } = read
  const refusal = judgePackets(packets)
  if (refusal !== undefined) return refused(refusal)
  const names = packets
    .filter((packet) => packet.tag === TAG.userId)
    .map((packet) => decodeBlockText(packet.body))
  if (names.some((name) => name !== undefined && hasControlCharacter(name)))
    return refused('control-character')
  const kept = withoutAttributes(packets)
  return {
    kind: 'ok',
    bytes: Buffer.concat(kept.map(({ start, next }) => unwrapped.bytes.subarray(start, next))),
    isNameUnreadable: names.includes(undefined),
    hadAttributes: kept.length < packets.length,
  }
}

/** Packets that begin a component of a key; what follows until the next one belongs to it (RFC 9580 10.1). */
const COMPONENT_TAGS: ReadonlySet<number> = new Set(Object.values(TAG))

/** Leaves out user attributes with their signatures; every other packet stays as it is. */
function withoutAttributes(packets: readonly Packet[]): readonly Packet[] {
  let isAttribute = false
  return packets.filter(({ tag }) => {
    if (COMPONENT_TAGS.has(tag)) isAttribute = tag === TAG.userAttribute
    return !isAttribute
  })
}

function unwrap(input: string | Uint8Array): Dearmored {
  if (typeof input === 'string') return dearmorPublicKey(input)
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  return ((bytes[0] ?? 0) & 0x80) !== 0 && bytes[0] !== 0xef
    ? { kind: 'bytes', bytes }
    : dearmorPublicKey(bytes.toString('latin1'))
}

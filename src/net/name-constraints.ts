import { isIP } from 'node:net'

/** Object identifier of the name constraints extension (RFC 5280 4.2.1.10). */
export const NAME_CONSTRAINTS_OID = '2.5.29.30'

const TAG_SEQUENCE = 0x30
const TAG_PERMITTED_SUBTREES = 0xa0
const TAG_DNS_NAME = 0x82
const TAG_IP_ADDRESS = 0x87

/**
 * DER of a NameConstraints value that permits these DNS names (and names below them) and exactly these IP addresses;
 * the same names in any order give the same bytes. Throws unless there is at least one of each kind, since a
 * constraint of one kind leaves the other kind free.
 *
 * NameConstraints ::= SEQUENCE { permittedSubtrees [0] GeneralSubtrees OPTIONAL, … }
 * Source: RFC 5280 4.2.1.10, design 6.
 */
export function encodeNameConstraints(names: readonly string[]): Uint8Array<ArrayBuffer> {
  const addresses = names.filter((name) => isIP(name) > 0).map(ipBytes)
  const dnsNames = names
    .filter((name) => isIP(name) === 0)
    .map((name) => Buffer.from(name.toLowerCase(), 'ascii'))
  if (addresses.length === 0 || dnsNames.length === 0) {
    throw new Error('a certificate authority needs at least one DNS name and one IP address to be bound to')
  }
  const subtrees = [
    ...distinct(dnsNames).map((name) => der(TAG_SEQUENCE, der(TAG_DNS_NAME, name))),
    ...distinct(addresses).map((address) =>
      der(TAG_SEQUENCE, der(TAG_IP_ADDRESS, Buffer.concat([address, Buffer.alloc(address.length, 0xff)]))),
    ),
  ]
  return new Uint8Array(der(TAG_SEQUENCE, der(TAG_PERMITTED_SUBTREES, Buffer.concat(subtrees))))
}

/** The permitted names of a value made by `encodeNameConstraints`: DNS names and canonical IP addresses. */
export function decodeNameConstraints(value: Uint8Array): string[] {
  const [constraints] = readTlvs(value)
  const [permitted] = constraints === undefined ? [] : readTlvs(constraints.content)
  if (permitted?.tag !== TAG_PERMITTED_SUBTREES) return []
  return readTlvs(permitted.content).flatMap((subtree) =>
    readTlvs(subtree.content).flatMap(({ tag, content }) => {
      if (tag === TAG_DNS_NAME) return [Buffer.from(content).toString('ascii')]
      return tag === TAG_IP_ADDRESS ? [ipText(content.subarray(0, content.length / 2))] : []
    }),
  )
}

/** One spelling per name: lower case, and the shortest form of an IPv6 address. */
export function canonicalName(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase()
}

function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const hex = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? []
  return canonicalName(hex.join(':'))
}

function readTlvs(bytes: Uint8Array): { tag: number; content: Uint8Array }[] {
  const tlvs: { tag: number; content: Uint8Array }[] = []
  for (let offset = 0; offset + 2 <= bytes.length; ) {
    const tag = bytes[offset] ?? 0
    const first = bytes[offset + 1] ?? 0
    const lengthOctets = first < 0x80 ? 0 : first & 0x7f
    const start = offset + 2 + lengthOctets
    const length = bytes.subarray(offset + 2, start).reduce((sum, octet) => sum * 256 + octet, 0)
    const end = start + (lengthOctets === 0 ? first : length)
    tlvs.push({ tag, content: bytes.subarray(start, end) })
    offset = end
  }
  return tlvs
}

/** 4 or 16 bytes of an IP address in text form. */
function ipBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const groups = expandIpv6(address)
  const bytes = Buffer.alloc(16)
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(group, index * 2)
  return bytes
}

function expandIpv6(address: string): number[] {
  // The canonical text has no embedded dotted quad and at most one `::`.
  const [head = '', tail] = canonicalName(address).split('::')
  const left = hexGroups(head)
  const right = hexGroups(tail ?? '')
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
}

function hexGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

function distinct(values: readonly Buffer[]): Buffer[] {
  const byText = new Map(values.map((value) => [value.toString('latin1'), value]))
  return [...byText.keys()].sort((a, b) => (a < b ? -1 : 1)).map((text) => Buffer.from(text, 'latin1'))
}

function der(tag: number, content: Uint8Array): Buffer {
  const length = content.length
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  if (length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, length]), content])
  return Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), content])
}

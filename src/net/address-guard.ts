import { BlockList, isIP } from 'node:net'

/** Ranges that are nobody's public server: RFC 6890 and its registries, and multicast. */
const PRIVATE_IPV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const

/** IPv6 is public in 2000::/3 only, without these parts of it; Teredo and 6to4 can wrap a private IPv4 address. */
const PRIVATE_IPV6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const

const privateAddresses = new BlockList()
for (const [network, prefix] of PRIVATE_IPV4) privateAddresses.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of PRIVATE_IPV6) privateAddresses.addSubnet(network, prefix, 'ipv6')
const globalIpv6 = new BlockList()
globalIpv6.addSubnet('2000::', 3, 'ipv6')

const MAPPED_IPV4 = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/** True for an address anyone on the Internet could have: not loopback, private, link-local, multicast or reserved. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !privateAddresses.check(address, 'ipv4')
  if (family !== 6 || address.includes('%')) return false
  const mapped = MAPPED_IPV4.exec(new URL(`http://[${address}]`).hostname.slice(1, -1))
  if (mapped !== null) return isPublicAddress(dottedQuad(mapped[1] ?? '', mapped[2] ?? ''))
  return globalIpv6.check(address, 'ipv6') && !privateAddresses.check(address, 'ipv6')
}

/** Decides whether a resolved address may be contacted. */
export type AddressJudge = (target: { readonly hostPort: string; readonly address: string }) => boolean

/** For hosts the owner wrote down: any address. */
export const anyAddress: AddressJudge = () => true

/**
 * For hosts that came from a sender, an announcement or DNS: public addresses only, except a `host:port` that stands
 * word for word (case aside) in `allowedHostPorts`. Source: design 8.4.
 */
export function publicAddressesExcept(allowedHostPorts: Iterable<string>): AddressJudge {
  const allowed = new Set([...allowedHostPorts].map((hostPort) => hostPort.toLowerCase()))
  return ({ hostPort, address }) => allowed.has(hostPort.toLowerCase()) || isPublicAddress(address)
}

/** Names that mean the machine or the network of whoever resolves them (RFC 6761, RFC 6762, RFC 8375, RFC 9476). */
const LOCAL_NAME =
  /(?:^|\.)(?:localhost|local|localdomain|internal|intranet|lan|home|corp|private|home\.arpa)$/
/** Networks in which a name is an address by itself; nothing of ours is behind them (CM wire 8.1). */
const OVERLAY_NAME = /\.(?:onion|i2p)$/

/**
 * The same decision for a host that a proxy resolves: `.onion` and `.i2p` names may always be contacted, IP addresses in
 * any spelling are judged as such, and names that can only be local count as a private address. Source: design 8.4.
 */
export function judgeUnresolved(
  judge: AddressJudge,
  { hostPort, host }: { readonly hostPort: string; readonly host: string },
): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  if (OVERLAY_NAME.test(name)) return true
  const literal = addressOf(name)
  if (literal !== undefined) return judge({ hostPort, address: literal })
  const isLocal = LOCAL_NAME.test(name) || !name.includes('.')
  return judge({ hostPort, address: isLocal ? UNSPECIFIED : SOME_PUBLIC_ADDRESS })
}

/** Stand for a name that is not resolved here. */
const UNSPECIFIED = '0.0.0.0'
const SOME_PUBLIC_ADDRESS = '1.1.1.1'

/** The IP address a host is, also in the spellings resolvers take (`127.1`, `0x7f.1`, `2130706433`); undefined for names. */
function addressOf(host: string): string | undefined {
  if (isIP(host) > 0) return host
  const url = `http://${host}`
  // A name whose last label is a number is an address or nothing at all: what does not parse may be contacted by nobody.
  if (!URL.canParse(url)) return UNSPECIFIED
  const { hostname } = new URL(url)
  return isIP(hostname) > 0 ? hostname : undefined
}

function dottedQuad(high: string, low: string): string {
  const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [first >> 8, first & 0xff, second >> 8, second & 0xff].join('.')
}

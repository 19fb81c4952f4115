/** Servers of one list that are looked at; a hostile Transport line could name thousands. */
const MAX_SERVERS = 16

/** One server as it was written: `hostPort` is the name its certificate is remembered under (CM wire 8.4). */
export interface ServerAddress {
  readonly hostPort: string
  /** A host name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
}

const HOST_PORT =
  /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?)):([1-9][0-9]{0,4})$/
const MAX_PORT = 65_535

/** `host:port`, `[IPv6]:port`; undefined for anything else. */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const match = HOST_PORT.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host === undefined || port > MAX_PORT ? undefined : { hostPort: text, host, port }
}

/** A comma-separated list; entries that are no address are left out, as is what comes after the sixteenth. */
export function parseServerList(text: string): readonly ServerAddress[] {
  return text
    .split(',', MAX_SERVERS)
    .map((entry) => parseServerAddress(entry.trim()))
    .filter((address) => address !== undefined)
}

/** The servers of a `Transport: server=h:p,h:p` value; none for `entangled` or anything unknown (CM wire 3.4, 8.1). */
export function serversOfTransport(transport: string): readonly ServerAddress[] {
  return /^server=/i.test(transport) ? parseServerList(transport.slice('server='.length)) : []
}

/** A uniformly random integer, 0 to `below` - 1 (crypto's `randomInt`). */
export type RandomInt = (below: number) => number

type Network = 'direct' | 'tor' | 'i2p'

/** Which network a server is reached through (CM wire 8.1). */
export function networkOf(server: ServerAddress): Network {
  if (/\.onion$/i.test(server.host)) return 'tor'
  return /\.i2p$/i.test(server.host) ? 'i2p' : 'direct'
}

const NETWORK_ORDER: readonly Network[] = ['direct', 'tor', 'i2p']

/** The order in which servers are tried: shuffled, then direct ones first, Tor, I2P (CM wire 8.1). */
export function orderServers(servers: readonly ServerAddress[], randomInt: RandomInt): ServerAddress[] {
  const shuffled = [...servers]
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = randomInt(last + 1)
    const [a, b] = [shuffled[last], shuffled[other]]
    if (a !== undefined && b !== undefined) [shuffled[last], shuffled[other]] = [b, a]
  }
  return NETWORK_ORDER.flatMap((network) => shuffled.filter((server) => networkOf(server) === network))
}

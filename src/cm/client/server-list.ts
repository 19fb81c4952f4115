import type { ServerAddress } from '../transport.ts'

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

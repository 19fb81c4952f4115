import type { ServerAddress } from '../transport.ts'

/** A uniformly random integer, 0 to `below` - 1 (crypto's `randomInt`). */
export type RandomInt = (below: number) => number

/** The networks servers live in (CM wire 8.1). */
export type Network = 'direct' | 'tor' | 'i2p'

/** Which network a server is reached through (CM wire 8.1). */
export function networkOf(server: ServerAddress): Network {
  if (/\.onion$/i.test(server.host)) return 'tor'
  return /\.i2p$/i.test(server.host) ? 'i2p' : 'direct'
}

/** Which networks are tried first (CM wire 8.1). */
const ORDER_BY_PREFERENCE: Readonly<Record<Network, readonly Network[]>> = {
  direct: ['direct', 'tor', 'i2p'],
  tor: ['tor', 'direct', 'i2p'],
  i2p: ['i2p', 'tor', 'direct'],
}

/** The order in which servers are tried: shuffled, then grouped by network, the preferred one first (CM wire 8.1). */
export function orderServers(
  servers: readonly ServerAddress[],
  randomInt: RandomInt,
  preferred: Network = 'direct',
): ServerAddress[] {
  const shuffled = [...servers]
  for (let last = shuffled.length - 1; last > 0; last -= 1) {
    const other = randomInt(last + 1)
    const [a, b] = [shuffled[last], shuffled[other]]
    if (a !== undefined && b !== undefined) [shuffled[last], shuffled[other]] = [b, a]
  }
  return ORDER_BY_PREFERENCE[preferred].flatMap((network) =>
    shuffled.filter((server) => networkOf(server) === network),
  )
}

import { createHmac } from 'node:crypto'
import type { SocksProxy } from '../../net/socks-connect.ts'
import type { ServerAddress } from '../transport.ts'
import { type Network, networkOf } from './server-list.ts'

/** The owner's SOCKS5 proxies (CM wire 8.1). */
export interface CmProxies {
  /** For `.onion`, and for ordinary servers too with `exitNode`. */
  readonly tor?: SocksProxy | undefined
  /** For `.i2p`. */
  readonly i2p?: SocksProxy | undefined
  /** For ordinary servers. */
  readonly general?: SocksProxy | undefined
  readonly exitNode: boolean
  readonly preferred: Network
  /** Octets of this installation that make its proxy credentials unlike anybody else's. */
  readonly isolationKey: Uint8Array
}

export type CmRoute =
  | { readonly kind: 'direct' }
  | { readonly kind: 'proxy'; readonly proxy: SocksProxy }
  /** The server is skipped. */
  | { readonly kind: 'no-proxy' }

/** How a server is reached; a proxy that is set is never gone around, also while it is down (CM wire 8.1). */
export function routeTo(server: ServerAddress, proxies: CmProxies | undefined): CmRoute {
  const through = (proxy: SocksProxy | undefined): CmRoute =>
    proxy === undefined ? { kind: 'no-proxy' } : { kind: 'proxy', proxy }
  const network = networkOf(server)
  if (network === 'tor') return through(proxies?.tor)
  if (network === 'i2p') return through(proxies?.i2p)
  // An exit node without a proxy for it must not turn into a direct connection.
  if (proxies?.exitNode === true) return through(proxies.tor)
  return proxies?.general === undefined ? { kind: 'direct' } : through(proxies.general)
}

/** The network that is tried first: an exit node makes it Tor unless I2P is preferred (CM wire 8.1). */
export function preferredNetwork(proxies: CmProxies | undefined): Network {
  if (proxies === undefined) return 'direct'
  return proxies.exitNode && proxies.preferred === 'direct' ? 'tor' : proxies.preferred
}

/** Characters of each credential: 128 bits, far below the 255 octets of RFC 1929. */
const CREDENTIAL_CHARACTERS = 32

/**
 * User and password that keep the streams of one `isolation` apart from all others at the proxy. They say nothing about
 * the account, and differ between installations.
 */
export function proxyCredentials(
  { isolationKey }: CmProxies,
  isolation: string,
): { readonly user: string; readonly password: string } {
  const digest = createHmac('sha256', isolationKey).update(isolation).digest('hex')
  return { user: digest.slice(0, CREDENTIAL_CHARACTERS), password: digest.slice(CREDENTIAL_CHARACTERS) }
}

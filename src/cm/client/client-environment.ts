import { type Clock, duration } from '../../base/clock.ts'
import type { ResolveHost } from '../../net/connect.ts'
import type { SocksProxy } from '../../net/socks-connect.ts'
import type { CertificateMemory } from '../port.ts'
import { parseServerAddress } from '../transport.ts'
import type { CmClientEnvironment } from './connect-cm-server.ts'
import type { Network } from './server-list.ts'
import { CmSessionPool } from './session-pool.ts'
import { UploadThrottle } from './upload-throttle.ts'

/** How CM servers are reached; the owner's settings (`cm.*`). */
export interface CmNetworkSettings {
  /** `host:port` of SOCKS5 proxies, empty for none. */
  readonly torProxy: string
  readonly i2pProxy: string
  readonly socksProxy: string
  readonly exitNode: boolean
  readonly preferred: Network
  /** Seconds for an answer; twice that through a proxy. */
  readonly timeoutSeconds: number
  /** 0: as fast as it goes. */
  readonly uploadKilobytesPerSecond: number
}

/** An environment that keeps sessions; whoever made it calls `sessions.close` at the end. */
export type PooledCmEnvironment = CmClientEnvironment & { readonly sessions: CmSessionPool }

/**
 * What sessions with CM servers need, from settings: one for the whole process, since the throttle and the kept
 * sessions are shared. `isolationKey` is 32 octets of this installation or this start. Throws for a proxy that is no
 * `host:port`: connecting without it would show what it is to hide.
 */
export function createCmClientEnvironment(
  settings: CmNetworkSettings,
  parts: {
    readonly clock: Clock
    readonly certificateMemory: CertificateMemory
    readonly isolationKey: Uint8Array
    readonly resolveHost?: ResolveHost
  },
): PooledCmEnvironment {
  const { clock, certificateMemory, isolationKey, resolveHost } = parts
  const { uploadKilobytesPerSecond: rate } = settings
  return {
    clock,
    certificateMemory,
    ...(resolveHost === undefined ? {} : { resolveHost }),
    timeouts: { replyMs: settings.timeoutSeconds * duration.second },
    proxies: {
      tor: parseProxy(settings.torProxy),
      i2p: parseProxy(settings.i2pProxy),
      general: parseProxy(settings.socksProxy),
      exitNode: settings.exitNode,
      preferred: settings.preferred,
      isolationKey,
    },
    sessions: new CmSessionPool(clock),
    throttle: rate === 0 ? undefined : new UploadThrottle(clock, rate),
  }
}

function parseProxy(hostPort: string): SocksProxy | undefined {
  if (hostPort === '') return undefined
  const proxy = parseServerAddress(hostPort)
  if (proxy === undefined) throw new Error(`${hostPort} is no HOST:PORT of a proxy`)
  return proxy
}

import { type ListenAddress, type Listener, listen } from '../../net/listen.ts'
import type { CmServerContext } from './context.ts'
import { refuseCmConnection, serveCmConnection } from './session.ts'

/** The reference allows 20 connections; ours cost little, and one household behind one address needs a few (CM wire S9). */
const MAX_CONNECTIONS = 256
const MAX_CONNECTIONS_PER_ADDRESS = 64

export interface CmServerListenOptions {
  readonly listen: readonly ListenAddress[]
  readonly maxConnections?: number
  readonly maxConnectionsPerAddress?: number
}

/** Opens the listeners of a CM server; throws ListenError. `closeAll` of the result ends every session. */
export function startCmServer(context: CmServerContext, options: CmServerListenOptions): Promise<Listener> {
  return listen({
    addresses: options.listen,
    maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
    maxConnectionsPerAddress: options.maxConnectionsPerAddress ?? MAX_CONNECTIONS_PER_ADDRESS,
    onConnection: (channel) => serveCmConnection(channel, context),
    onRefused: refuseCmConnection,
    onError: (error) => context.log.error({ cause: error }, 'a CM connection failed'),
  })
}

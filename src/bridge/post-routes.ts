import { type Network, networkOf } from '../cm/client/server-list.ts'
import { encodeTransport, parseTransport, type ServerAddress } from '../cm/transport.ts'

/** One way a block gets to its target. */
export type PostRoute =
  /** To the target's servers, without login. */
  | { readonly kind: 'direct'; readonly servers: readonly ServerAddress[] }
  /** To the account's own servers, which pass it on: not before `afterMs` when that is given (CM wire 8.5). */
  | { readonly kind: 'own-server'; readonly postTo: string; readonly afterMs?: number }

export interface PostRules {
  /** Classes of servers that must not be contacted from here (`cm.postByProxy`). */
  readonly byProxy: readonly Network[]
  /** Not before this time; null: at once. */
  readonly releaseMs: number | null
  readonly nowMs: number
}

/**
 * The ways to a target, in the order in which they are tried; none for a transport that is not spoken. A message that is
 * not due goes to the own server only, which keeps it until then.
 */
export function postRoutes(target: string, { byProxy, releaseMs, nowMs }: PostRules): PostRoute[] {
  const transport = parseTransport(target)
  if (transport?.kind !== 'servers') return []
  const postTo = postToLine(target)
  if (releaseMs !== null && releaseMs > nowMs) return [{ kind: 'own-server', postTo, afterMs: releaseMs }]
  const servers = transport.servers.filter((server) => !byProxy.includes(networkOf(server)))
  const routes: PostRoute[] = []
  if (servers.length > 0) routes.push({ kind: 'direct', servers })
  if (servers.length < transport.servers.length) routes.push({ kind: 'own-server', postTo })
  return routes
}

/**
 * The line that tells our server where a block goes, LF included: `server=` targets only and never with the
 * reference's `embargo:`, of which a reference server's sender dies (CM wire 8.5). Throws for Entangled: the line would
 * be published with the block.
 */
export function postToLine(target: string): string {
  const transport = parseTransport(target)
  if (transport?.kind !== 'servers') throw new Error('only blocks for servers are handed to another server')
  return `Post-To: ${encodeTransport(transport)}\n`
}

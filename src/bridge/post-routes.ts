import { type Network, networkOf } from '../cm/client/server-list.ts'
import { encodeTransport, parseTransport, type ServerAddress } from '../cm/transport.ts'

/** One way a block gets to its target. */
export type PostRoute =
  /** To the target's servers, without login. */
  | { readonly kind: 'direct'; readonly servers: readonly ServerAddress[] }
  /** To the account's own servers, which pass it on: not before `afterMs` when that is given (CM wire 8.5). */
  | { readonly kind: 'own-server'; readonly postTo: string; readonly afterMs?: number }

/** What decides between the ways to a target. */
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
  const own = postTo === undefined ? [] : [{ kind: 'own-server', postTo } as const]
  if (releaseMs !== null && releaseMs > nowMs) return own.map((route) => ({ ...route, afterMs: releaseMs }))
  const servers = transport.servers.filter((server) => !byProxy.includes(networkOf(server)))
  const direct = servers.length > 0 ? [{ kind: 'direct', servers } as const] : []
  return servers.length < transport.servers.length ? [...direct, ...own] : direct
}

/**
 * The line that tells our server where a block goes, LF included: `server=` targets only and never with the
 * reference's `embargo:`, of which a reference server's sender dies (CM wire 8.5). IPv6 literals break that sender too
 * (CM wire 10.1) and are left out; undefined when nothing else is there. Throws for Entangled: the line would be
 * published with the block.
 */
export function postToLine(target: string): string | undefined {
  const transport = parseTransport(target)
  if (transport?.kind !== 'servers') throw new Error('only blocks for servers are handed to another server')
  const servers = transport.servers.filter(({ host }) => !host.startsWith('['))
  return servers.length === 0 ? undefined : `Post-To: ${encodeTransport({ kind: 'servers', servers })}\n`
}

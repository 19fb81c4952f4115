/** The `Transport` header: where mail for a key goes (CM wire 3.4, 8.1). Not a socket. */

export interface ServerAddress {
  /** Lower case; an IPv6 literal keeps its brackets. */
  readonly host: string
  readonly port: number
}

/** Where somebody takes mail, as announcements and `Post-To` lines name it; servers in order of preference. */
export type Transport =
  | { readonly kind: 'entangled' }
  | { readonly kind: 'servers'; readonly servers: readonly ServerAddress[] }

/** Servers of one transport; each may cost a connection. */
const MAX_SERVERS = 16
const HOST = /^(?:[0-9a-z._-]{1,253}|\[[0-9a-f:.]{2,45}\])$/
const PORT = /^[1-9]\d{0,4}$/

/** `host:port`, split at the last colon; undefined when either part is not one (CM wire 3.4). */
export function parseServerAddress(text: string): ServerAddress | undefined {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, Math.max(colon, 0)).toLowerCase()
  const port = text.slice(colon + 1)
  if (!HOST.test(host) || !PORT.test(port) || Number(port) > 65_535) return undefined
  return { host, port: Number(port) }
}

/** `host:port`, the name of a server everywhere it is remembered. */
export function encodeServerAddress(server: ServerAddress): string {
  return `${server.host}:${server.port}`
}

/** Reads `entangled` or `server=h:p[,h:p…]` in any case; undefined for everything else (CM wire 3.4). */
export function parseTransport(value: string): Transport | undefined {
  const text = value.toLowerCase()
  if (text === 'entangled') return { kind: 'entangled' }
  if (!text.startsWith('server=')) return undefined
  const items = text.slice('server='.length).split(',')
  if (items.length > MAX_SERVERS) return undefined
  const servers: ServerAddress[] = []
  for (const item of items) {
    const server = parseServerAddress(item)
    if (server === undefined) return undefined
    servers.push(server)
  }
  return { kind: 'servers', servers }
}

/** `entangled` or `server=h:p[,h:p]`; what `parseTransport` reads. */
export function encodeTransport(transport: Transport): string {
  if (transport.kind === 'entangled') return 'entangled'
  return `server=${transport.servers.map(encodeServerAddress).join(',')}`
}

import { lookup } from 'node:dns/promises'
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { duration } from '../base/clock.ts'
import type { AddressJudge } from './address-guard.ts'
import { SocketChannel } from './socket-channel.ts'

/** Resolved addresses that are tried, in the resolver's order; a name with hundreds must not hold us up. */
const MAX_ADDRESSES = 4
/** Milliseconds until a connection attempt gives up; the reference client's own value (CM wire 7.10). */
const CONNECT_TIMEOUT_MS = 15 * duration.second

/** All addresses of a host name; rejects when it has none. DNS is an argument, so that tests own it. */
export type ResolveHost = (host: string) => Promise<readonly string[]>

export interface ConnectOptions {
  /** A name or an IP address; IPv6 with or without brackets. */
  readonly host: string
  readonly port: number
  /** Decides per resolved address; the address that was judged is the one connected to. */
  readonly judge: AddressJudge
  readonly resolveHost?: ResolveHost | undefined
  readonly timeoutMs?: number
}

/** Why no connection came about. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError'
  readonly reason: keyof typeof REASON_TEXT
  /** `host:port` of the proxy it should have gone through. */
  readonly proxyHostPort: string | undefined

  constructor(
    reason: ConnectError['reason'],
    hostPort: string,
    options: { readonly cause?: unknown; readonly proxyHostPort?: string } = {},
  ) {
    const { cause, proxyHostPort } = options
    const through = proxyHostPort === undefined ? '' : ` through the proxy ${proxyHostPort}`
    super(`no connection to ${hostPort}${through}: ${REASON_TEXT[reason]}`, { cause })
    this.reason = reason
    this.proxyHostPort = proxyHostPort
  }
}

const REASON_TEXT = {
  unresolvable: 'the host name has no address',
  'forbidden-address': 'private and local addresses are only contacted when the owner lists them',
  refused: 'refused or unreachable',
  timeout: 'no answer in time',
  'proxy-down': 'the proxy cannot be reached',
  'proxy-refused': 'the proxy does not connect us',
} as const

/**
 * A TCP connection to the first address that is allowed and answers, within `timeoutMs` in all. Throws `ConnectError`.
 * Source: design 8.4 (judged by the resolved address that is connected to).
 */
export async function connect(options: ConnectOptions): Promise<SocketChannel> {
  const deadline = AbortSignal.timeout(options.timeoutMs ?? CONNECT_TIMEOUT_MS)
  return new SocketChannel(await connectSocketTo(options, deadline))
}

/** The socket of `connect`, until `deadline` is aborted; `timeoutMs` is what it was made from. */
export async function connectSocketTo(options: ConnectOptions, deadline: AbortSignal): Promise<Socket> {
  const hostPort = formatHostPort(options.host, options.port)
  const timeoutMs = options.timeoutMs ?? CONNECT_TIMEOUT_MS
  const addresses = await resolve(options, deadline)
  const allowed = addresses.filter((address) => options.judge({ hostPort, address })).slice(0, MAX_ADDRESSES)
  if (allowed.length === 0) throw new ConnectError('forbidden-address', hostPort)
  let lastError: unknown
  for (const address of allowed) {
    // Each attempt gets its share, so that an address nobody answers at (a broken IPv6 route) leaves time for the next.
    const share = AbortSignal.timeout(Math.ceil(timeoutMs / allowed.length))
    try {
      return await connectAddress(address, options.port, AbortSignal.any([deadline, share]))
    } catch (error) {
      if (deadline.aborted || (share.aborted && address === allowed.at(-1)))
        throw new ConnectError('timeout', hostPort, { cause: error })
      lastError = error
    }
  }
  throw new ConnectError('refused', hostPort, { cause: lastError })
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]:${port}` : `${host}:${port}`
}

/** The host itself: an IPv6 address without the brackets it may stand in. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

/** The system's resolver: hosts file and DNS. */
export const systemResolveHost: ResolveHost = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address)

async function resolve(options: ConnectOptions, deadline: AbortSignal): Promise<readonly string[]> {
  const { port, resolveHost = systemResolveHost } = options
  const host = withoutBrackets(options.host)
  if (isIP(host) > 0) return [host]
  const hostPort = formatHostPort(host, port)
  const { promise: late, reject } = Promise.withResolvers<never>()
  deadline.addEventListener('abort', () => reject(new ConnectError('timeout', hostPort)))
  try {
    const addresses = await Promise.race([resolveHost(host), late])
    if (addresses.length > 0) return addresses
  } catch (error) {
    throw error instanceof ConnectError ? error : new ConnectError('unresolvable', hostPort, { cause: error })
  }
  throw new ConnectError('unresolvable', hostPort)
}

async function connectAddress(address: string, port: number, deadline: AbortSignal): Promise<Socket> {
  const socket = connectSocket({ host: address, port, allowHalfOpen: true, noDelay: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = (): void => reject(new Error('aborted'))
  socket.once('connect', resolve)
  socket.once('error', reject)
  deadline.addEventListener('abort', onAbort)
  try {
    deadline.throwIfAborted()
    await promise
    socket.off('error', reject)
    return socket
  } catch (error) {
    socket.on('error', () => undefined)
    socket.destroy()
    throw error
  } finally {
    deadline.removeEventListener('abort', onAbort)
  }
}

import type { Socket } from 'node:net'
import { SocksClient } from 'socks'
import { duration } from '../base/clock.ts'
import { type AddressJudge, anyAddress, judgeUnresolved } from './address-guard.ts'
import {
  ConnectError,
  connectSocketTo,
  formatHostPort,
  type ResolveHost,
  withoutBrackets,
} from './connect.ts'
import { SocketChannel } from './socket-channel.ts'

/** Milliseconds for the proxy and what lies behind it together: twice a direct connection (CM wire 7.10). */
const CONNECT_TIMEOUT_MS = 30 * duration.second

/** A SOCKS5 proxy (RFC 1928); the owner wrote it down, so any address will do. */
export interface SocksProxy {
  /** A name or an IP address; IPv6 with or without brackets. */
  readonly host: string
  readonly port: number
}

export interface SocksConnectOptions {
  readonly proxy: SocksProxy
  /** Resolved by the proxy, never here; IPv6 with or without brackets. */
  readonly host: string
  readonly port: number
  readonly judge: AddressJudge
  /** Keeps streams apart (Tor's IsolateSOCKSAuth): offered beside "no authentication", so that any proxy will do. */
  readonly credentials?: { readonly user: string; readonly password: string } | undefined
  /** For the proxy's own name. */
  readonly resolveHost?: ResolveHost | undefined
  readonly timeoutMs?: number
}

/**
 * A TCP connection through a SOCKS5 proxy. The proxy's reply is read to its end, so that the first octet of the channel
 * is the server's. Throws `ConnectError`: `proxy-down` when the proxy cannot be reached, `proxy-refused` when it does
 * not connect us or does not speak SOCKS5, `timeout`; never goes around the proxy. Source: RFC 1928, RFC 1929, CM wire 8.3.
 */
export async function connectThroughSocks(options: SocksConnectOptions): Promise<SocketChannel> {
  const { proxy, judge, timeoutMs = CONNECT_TIMEOUT_MS } = options
  const host = withoutBrackets(options.host)
  const hostPort = formatHostPort(options.host, options.port)
  const proxyHostPort = formatHostPort(proxy.host, proxy.port)
  if (!judgeUnresolved(judge, { hostPort, host })) throw new ConnectError('forbidden-address', hostPort)
  const deadline = AbortSignal.timeout(timeoutMs)
  const socket = await reachProxy(options, deadline).catch((cause: unknown) => {
    throw new ConnectError(deadline.aborted ? 'timeout' : 'proxy-down', hostPort, { cause, proxyHostPort })
  })
  // An error after the connection was given up must not end the process.
  socket.on('error', () => undefined)
  const cut = (): void => void socket.destroy()
  deadline.addEventListener('abort', cut)
  try {
    return await negotiate(socket, { ...options, host })
  } catch (cause) {
    socket.destroy()
    throw new ConnectError(deadline.aborted ? 'timeout' : 'proxy-refused', hostPort, { cause, proxyHostPort })
  } finally {
    deadline.removeEventListener('abort', cut)
  }
}

function reachProxy(options: SocksConnectOptions, deadline: AbortSignal): Promise<Socket> {
  const { proxy, resolveHost, timeoutMs = CONNECT_TIMEOUT_MS } = options
  return connectSocketTo({ ...proxy, judge: anyAddress, resolveHost, timeoutMs }, deadline)
}

async function negotiate(socket: Socket, options: SocksConnectOptions): Promise<SocketChannel> {
  const { proxy, credentials } = options
  const { remoteHost } = await SocksClient.createConnection({
    proxy: {
      host: proxy.host,
      port: proxy.port,
      type: 5,
      ...(credentials === undefined ? {} : { userId: credentials.user, password: credentials.password }),
    },
    command: 'connect',
    destination: { host: options.host, port: options.port },
    existing_socket: socket,
    timeout: options.timeoutMs ?? CONNECT_TIMEOUT_MS,
  })
  // The package takes an address type it does not know for the end of the reply.
  if (remoteHost === undefined) throw new Error('the proxy names an address of an unknown kind')
  return keepExcess(socket)
}

/**
 * What came behind the proxy's reply belongs to the server; the package emits it as a `data` event in the next turn and
 * resumes the socket. It goes back to the front of the buffer, where our channel, which pulls, finds it.
 */
async function keepExcess(socket: Socket): Promise<SocketChannel> {
  const putBack = (excess: Buffer): void => socket.unshift(excess)
  socket.once('data', putBack)
  // Listens for `readable`: `resume` lets nothing flow past it.
  const channel = new SocketChannel(socket)
  await new Promise((resolve) => setImmediate(resolve))
  socket.off('data', putBack)
  return channel
}

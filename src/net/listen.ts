import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type ByteChannel, type ServerTlsContext, StartTlsError } from './byte-channel.ts'
import { SocketChannel } from './socket-channel.ts'

/** Connections waiting for `accept` in the kernel. */
const LISTEN_BACKLOG = 128

/** Connections over the limit that may be told so at the same time; the rest is dropped without a word. */
const MAX_REFUSALS = 64

/** Where to listen. Port 0 lets the system choose (tests). */
export interface ListenAddress {
  readonly host: string
  readonly port: number
  /** True: a machine without this address (no IPv6) is no error, the address is left out. */
  readonly optional?: boolean
}

export interface ListenOptions {
  readonly addresses: readonly ListenAddress[]
  /** Open connections over all addresses; more are given to `onRefused`. */
  readonly maxConnections: number
  /** Open connections from one remote address; the rest of the world keeps its share. */
  readonly maxConnectionsPerAddress?: number
  /** Implicit TLS: asked at each connection, so that a renewed certificate is used at once. */
  readonly tls?: () => ServerTlsContext
  /** One connection; it owns the channel. What it throws is given to `onError` and the connection is dropped. */
  readonly onConnection: (channel: ByteChannel) => Promise<void>
  /** A connection over the limit: may say goodbye. The channel is dropped afterwards. */
  readonly onRefused?: (channel: ByteChannel) => Promise<void>
  /** Our fault inside a connection; called once per connection. */
  readonly onError: (error: unknown) => void
}

export interface Listener {
  /** The addresses that are open, with the real port. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[]
  /** Open connections, refused ones not counted. */
  readonly connectionCount: number
  /** Stops listening; connections go on until `closeAll` or their own end. */
  stopAccepting(): Promise<void>
  /** Stops listening, drops every connection and resolves when their handlers have returned. */
  closeAll(): Promise<void>
}

/** A port that cannot be had: busy, forbidden, or an address this machine does not have. `message` is one clear line. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly host: string
  readonly port: number
  /** `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`… as the system says. */
  readonly code: string

  constructor(address: ListenAddress, code: string, cause: unknown) {
    super(listenErrorText(address, code), { cause })
    this.host = address.host
    this.port = address.port
    this.code = code
  }
}

/**
 * Opens TCP listeners on all addresses, or none: throws `ListenError` after closing those already open. Ports never
 * move by themselves (design 6).
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const listener = new TcpListener(options)
  try {
    for (const address of options.addresses) await listener.open(address)
  } catch (error) {
    await listener.closeAll()
    throw error
  }
  return listener
}

class TcpListener implements Listener {
  readonly #options: ListenOptions
  readonly #servers: Server[] = []
  readonly #channels = new Set<SocketChannel>()
  readonly #handlers = new Set<Promise<void>>()
  readonly addresses: { host: string; port: number }[] = []

  constructor(options: ListenOptions) {
    this.#options = options
  }

  get connectionCount(): number {
    return this.#channels.size
  }

  async open(address: ListenAddress): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket))
    server.maxConnections = this.#options.maxConnections + MAX_REFUSALS
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    server.once('error', reject)
    server.listen({ host: address.host, port: address.port, backlog: LISTEN_BACKLOG }, resolve)
    try {
      await promise
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
      if (address.optional === true && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) return
      throw new ListenError(address, code, error)
    }
    // Errors after this are of single accepts (no file descriptors left): the listener itself stays.
    server.on('error', this.#options.onError)
    this.#servers.push(server)
    this.addresses.push({ host: address.host, port: (server.address() as AddressInfo).port })
  }

  async stopAccepting(): Promise<void> {
    // Not awaited to the last connection: `close` calls back only when they are all gone.
    for (const server of this.#servers) if (server.listening) server.close()
  }

  async closeAll(): Promise<void> {
    const closed = this.#servers.map(closeServer)
    for (const channel of this.#channels) channel.destroy()
    await Promise.all(this.#handlers)
    await Promise.all(closed)
  }

  #accept(socket: Socket): void {
    const channel = new SocketChannel(socket)
    const handler = this.#isFull(channel.remoteAddress) ? this.#refuse(channel) : this.#run(channel)
    this.#handlers.add(handler)
    void handler.finally(() => this.#handlers.delete(handler))
  }

  #isFull(remoteAddress: string): boolean {
    const { maxConnections, maxConnectionsPerAddress = maxConnections } = this.#options
    if (this.#channels.size >= maxConnections) return true
    const same = [...this.#channels].filter((channel) => channel.remoteAddress === remoteAddress)
    return same.length >= maxConnectionsPerAddress
  }

  async #run(channel: SocketChannel): Promise<void> {
    this.#channels.add(channel)
    // The place is free again as soon as the connection is closed, even if its handler is still busy (CM wire 7.1).
    const freed = channel.closed().then(() => this.#channels.delete(channel))
    try {
      const tls = this.#options.tls?.()
      // A failed handshake is the peer's business: port scanners end here.
      if (tls !== undefined && !(await startsTls(channel, tls))) return
      await this.#options.onConnection(channel)
    } catch (error) {
      this.#options.onError(error)
    } finally {
      channel.destroy()
      await freed
    }
  }

  async #refuse(channel: SocketChannel): Promise<void> {
    try {
      await this.#options.onRefused?.(channel)
    } catch (error) {
      this.#options.onError(error)
    } finally {
      channel.destroy()
    }
  }
}

async function startsTls(channel: SocketChannel, tls: ServerTlsContext): Promise<boolean> {
  try {
    await channel.startTls(tls)
    return true
  } catch (error) {
    if (error instanceof StartTlsError) return false
    throw error
  }
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}

function listenErrorText(address: ListenAddress, code: string): string {
  const where = `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
  switch (code) {
    case 'EADDRINUSE':
      return `cannot listen on ${where}: another program uses this port`
    case 'EACCES':
      return `cannot listen on ${where}: not allowed (ports below 1024 need a privilege)`
    case 'EADDRNOTAVAIL':
      return `cannot listen on ${where}: this machine does not have that address`
    default:
      return `cannot listen on ${where}: ${code}`
  }
}

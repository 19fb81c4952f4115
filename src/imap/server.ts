import type { ByteChannel, ServerTlsContext } from '../net/byte-channel.ts'
import { type ListenAddress, type Listener, listen } from '../net/listen.ts'
import { DEFAULT_MAX_CONNECTIONS } from './limits.ts'
import { ImapSession, type ImapSessionOptions } from './session.ts'

/** Serves one connection until it is over. The channel is the session's and is closed at the end. */
export async function serveImap(channel: ByteChannel, options: ImapSessionOptions): Promise<void> {
  await new ImapSession(channel, options).run()
}

/** One kind of listener: its addresses, and how TLS begins on them. */
export interface ImapListenerConfig {
  readonly addresses: readonly ListenAddress[]
  /** `starttls`: plain until STARTTLS; `implicit`: TLS from the first octet (port 1993). */
  readonly tls: 'starttls' | 'implicit'
}

export interface ImapServerOptions extends Omit<ImapSessionOptions, 'isLoopback' | 'tls'> {
  readonly listeners: readonly ImapListenerConfig[]
  /** Asked at each handshake. */
  readonly tlsContext: () => ServerTlsContext
  /** Open connections of each listener; more are told BYE. */
  readonly maxConnections?: number
}

export interface ImapServer {
  /** What is open, with the real ports. */
  readonly addresses: readonly {
    readonly host: string
    readonly port: number
    readonly tls: 'starttls' | 'implicit'
  }[]
  readonly connectionCount: number
  /** Stops listening, says BYE where nothing is being answered, and resolves when all connections are over. */
  close(): Promise<void>
}

/** Opens all listeners or none; rejects with `ListenError`. */
export async function startImapServer(options: ImapServerOptions): Promise<ImapServer> {
  const sessions = new Set<ImapSession>()
  const open: { readonly listener: Listener; readonly tls: 'starttls' | 'implicit' }[] = []
  try {
    for (const config of options.listeners) {
      open.push({ listener: await openListener(config, options, sessions), tls: config.tls })
    }
  } catch (error) {
    for (const { listener } of open) await listener.closeAll()
    throw error
  }
  return {
    addresses: open.flatMap(({ listener, tls }) =>
      listener.addresses.map((address) => ({ ...address, tls })),
    ),
    get connectionCount() {
      return open.reduce((sum, { listener }) => sum + listener.connectionCount, 0)
    },
    async close() {
      for (const { listener } of open) await listener.stopAccepting()
      await Promise.all([...sessions].map((session) => session.shutDown()))
      await Promise.all(open.map(({ listener }) => listener.closeAll()))
    },
  }
}

async function openListener(
  config: ImapListenerConfig,
  options: ImapServerOptions,
  sessions: Set<ImapSession>,
): Promise<Listener> {
  const { tlsContext, log } = options
  const isImplicit = config.tls === 'implicit'
  return await listen({
    addresses: config.addresses,
    maxConnections: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    ...(isImplicit ? { tls: tlsContext } : {}),
    onConnection: async (channel) => {
      const isLoopback = isLoopbackAddress(channel.remoteAddress)
      const session = new ImapSession(channel, { ...options, tls: tlsContext, isLoopback })
      sessions.add(session)
      try {
        await session.run()
      } finally {
        sessions.delete(session)
      }
    },
    onRefused: (channel) => channel.write(Buffer.from('* BYE Too many connections\r\n')),
    onError: (error) => log.error({ cause: error }, 'an IMAP connection failed'),
  })
}

/** 127.0.0.0/8 and ::1: a peer on this machine. */
function isLoopbackAddress(remoteAddress: string): boolean {
  return /^127\.\d+\.\d+\.\d+$/.test(remoteAddress) || remoteAddress === '::1'
}

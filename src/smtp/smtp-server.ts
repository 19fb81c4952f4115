import type { Clock } from '../base/clock.ts'
import { SMTP_LIMITS, type SmtpLimits } from './limits.ts'
import type { Submission } from './port.ts'
import { SubmissionServer } from './smtp-server-adapter.ts'
import type { SmtpLog } from './submission-dialog.ts'

/** An address to listen on; port 0 takes any free one. */
export interface SmtpListener {
  readonly host: string
  readonly port: number
  /** TLS from the first byte (RFC 8314 3.3) instead of STARTTLS. */
  readonly implicitTls: boolean
}

/** A listening address that cannot be had. The message is one line for the user and says what to change. */
export class SmtpListenError extends Error {
  readonly host: string
  readonly port: number
  readonly reason: 'in-use' | 'not-permitted' | 'no-such-address' | 'other'

  constructor({ host, port }: SmtpListener, cause: NodeJS.ErrnoException) {
    const reason = reasonOf(cause.code)
    super(`SMTP cannot listen on ${host} port ${port}: ${WORDS[reason](cause)}`, { cause })
    this.name = 'SmtpListenError'
    this.host = host
    this.port = port
    this.reason = reason
  }
}

const WORDS = {
  'in-use': () => 'the port is in use; stop the program that has it or set another port',
  'not-permitted': () => 'not permitted; ports below 1024 need special rights, set a higher one',
  'no-such-address': () => 'this machine has no such address',
  other: (cause: NodeJS.ErrnoException) => cause.message,
} as const

function reasonOf(code: string | undefined): SmtpListenError['reason'] {
  if (code === 'EADDRINUSE') return 'in-use'
  if (code === 'EACCES') return 'not-permitted'
  return code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' ? 'no-such-address' : 'other'
}

export interface SmtpServerOptions {
  readonly listeners: readonly SmtpListener[]
  /** PEM; `cert` with its chain. */
  readonly tls: { readonly key: string; readonly cert: string }
  readonly submission: Submission
  readonly clock: Clock
  readonly log: SmtpLog
  /** Open connections of all listeners together. */
  readonly maxConnections: number
  readonly limits?: Partial<SmtpLimits>
}

export interface RunningSmtpServer {
  /** Where it listens now, in the order of the listeners, with real port numbers. */
  readonly addresses: readonly SmtpListener[]
  /** New connections from now on get this certificate. */
  replaceCertificate(tls: { readonly key: string; readonly cert: string }): void
  /** Stops listening, ends idle connections with 421, and waits a short while for messages under way. */
  close(): Promise<void>
}

/** Loopback addresses: only there may a password go in clear (design 6). */
function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/**
 * Starts the submission server (RFC 6409) on all listeners or on none. Rejects with SmtpListenError when an address
 * cannot be had; the ones already open are closed then.
 */
export async function startSmtpServer(options: SmtpServerOptions): Promise<RunningSmtpServer> {
  const servers: SubmissionServer[] = []
  const context = {
    submission: options.submission,
    tls: options.tls,
    clock: options.clock,
    log: options.log,
    limits: { ...SMTP_LIMITS, ...options.limits },
    maxConnections: options.maxConnections,
    hasRoom: () => servers.reduce((sum, server) => sum + server.openConnections, 0) <= options.maxConnections,
  }
  const addresses: SmtpListener[] = []
  const closeAll = async () => {
    await Promise.all(servers.map((server) => server.shutDown()))
  }
  try {
    for (const listener of options.listeners) {
      const server = new SubmissionServer(context, {
        implicitTls: listener.implicitTls,
        isLoopback: isLoopbackHost(listener.host),
      })
      addresses.push({ ...listener, port: await listen(server, listener) })
      servers.push(server)
    }
  } catch (error) {
    await closeAll()
    throw error
  }
  return {
    addresses,
    replaceCertificate: (tls) => {
      for (const server of servers) server.updateSecureContext(tls)
    },
    close: closeAll,
  }
}

function listen(server: SubmissionServer, listener: SmtpListener): Promise<number> {
  return new Promise((resolve, reject) => {
    const refused = (cause: NodeJS.ErrnoException) => reject(new SmtpListenError(listener, cause))
    server.server.once('error', refused)
    server.listen(listener.port, listener.host, () => {
      server.server.removeListener('error', refused)
      const address = server.server.address()
      resolve(address !== null && typeof address === 'object' ? address.port : listener.port)
    })
  })
}

import type { Socket } from 'node:net'
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect as connectTls,
  TLSSocket,
  type PeerCertificate as TlsCertificate,
} from 'node:tls'
import {
  type ByteChannel,
  ChannelClosedError,
  ChannelIdleError,
  type ClientTlsContext,
  type PeerCertificate,
  StartTlsError,
  type TlsContext,
} from './byte-channel.ts'
import { peerCertificate } from './peer-certificate.ts'

/** Milliseconds for a whole TLS handshake; a peer that is slower is gone or hostile. */
const HANDSHAKE_TIMEOUT_MS = 20_000
/** Milliseconds a peer gets to close its side after `end()`. */
const LINGER_MS = 3_000
/** First octet of a TLS record that carries a handshake (RFC 8446 5.1): a client may send it before our own write returns. */
const TLS_HANDSHAKE_RECORD = 0x16

/**
 * A `ByteChannel` on a TCP socket. Pull-shaped: bytes stay in the socket's own bounded buffer until the consumer asks,
 * so a fast peer is slowed down by TCP. The socket must have been made with `allowHalfOpen`.
 */
export class SocketChannel implements ByteChannel {
  readonly remoteAddress: string
  #socket: Socket
  #peerCertificate: PeerCertificate | undefined
  #secure = false as boolean
  #readEnded = false as boolean
  #closed = false as boolean
  #idleTimeoutMs = 0
  /** Counts idle time-outs; whoever waits fails when it changes. */
  #idleExpiries = 0
  #waiters: (() => void)[] = []
  readonly #listeners: readonly (readonly [string, () => void])[] = [
    ['readable', () => this.#wake()],
    ['drain', () => this.#wake()],
    ['end', () => this.#onReadEnd()],
    // An error is always followed by 'close'; listening keeps it from ending the process.
    ['error', () => this.#wake()],
    ['close', () => this.#onClose()],
    ['timeout', () => this.#onIdle()],
  ]

  constructor(socket: Socket) {
    this.#socket = socket
    this.remoteAddress = (socket.remoteAddress ?? '').replace(/^::ffff:(?=[0-9.]+$)/i, '')
    this.#listen(socket)
  }

  get secure(): boolean {
    return this.#secure
  }

  get peerCertificate(): PeerCertificate | undefined {
    return this.#peerCertificate
  }

  /** Resolves once the connection is gone, however it ended. */
  async closed(): Promise<void> {
    while (!this.#closed) await this.#change()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (let chunk = await this.#read(); chunk !== undefined; chunk = await this.#read()) yield chunk
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#requireWritable()
    if (this.#socket.write(bytes)) return
    const expiries = this.#restartIdleTimer()
    while (this.#socket.writableNeedDrain) {
      await this.#change()
      this.#requireWritable()
      if (this.#idleExpiries !== expiries) throw new ChannelIdleError('the peer takes no more bytes')
    }
  }

  async startTls(context: TlsContext): Promise<void> {
    const plain = this.#socket
    if (this.#secure || this.#closed) throw this.#abandon('TLS can be started once, on an open connection')
    const early = plain.read() as Buffer | null
    if (early !== null && early[0] !== TLS_HANDSHAKE_RECORD) throw this.#abandon('plaintext behind STARTTLS')
    this.#unlisten(plain)
    if (early !== null) plain.unshift(early)
    const names = new CertifiedNames()
    const secured = secureSocket(plain, context, names)
    this.#socket = secured
    try {
      await handshake(secured, context.role === 'server' ? 'secure' : 'secureConnect')
    } catch (cause) {
      throw this.#abandon('the TLS handshake failed', cause)
    }
    secured.disableRenegotiation()
    this.#listen(secured)
    this.#secure = true
    const shown = secured.getPeerX509Certificate()
    this.#peerCertificate =
      shown === undefined
        ? undefined
        : peerCertificate(shown, secured.authorized, (host) => names.include(host))
    this.#applyIdleTimeout()
    this.#closed = secured.closed
    this.#readEnded = secured.readableEnded
  }

  async end(): Promise<void> {
    if (this.#closed) return
    this.#socket.end()
    // What the peer still sends is read and dropped, else the kernel would answer our close with a reset and the
    // last reply could be lost. (`resume` does nothing while somebody listens for 'readable'.)
    this.#socket.removeAllListeners('readable')
    this.#socket.resume()
    const linger = setTimeout(() => this.destroy(), LINGER_MS)
    await this.closed()
    clearTimeout(linger)
  }

  destroy(): void {
    this.#socket.destroy()
    this.#closed = true
    this.#wake()
  }

  setIdleTimeout(ms: number): void {
    this.#idleTimeoutMs = ms
    this.#applyIdleTimeout()
  }

  async #read(): Promise<Buffer | undefined> {
    const expiries = this.#restartIdleTimer()
    for (;;) {
      if (this.#closed) return undefined
      const chunk = this.#socket.read() as Buffer | null
      if (chunk !== null) return chunk
      if (this.#readEnded) return undefined
      await this.#change()
      if (this.#idleExpiries !== expiries)
        throw new ChannelIdleError('nothing was received for the idle time')
    }
  }

  /** The time before a wait is ours, not the peer's: the timer starts anew, and old expiries do not count. */
  #restartIdleTimer(): number {
    this.#applyIdleTimeout()
    return this.#idleExpiries
  }

  #applyIdleTimeout(): void {
    this.#socket.setTimeout(this.#idleTimeoutMs)
  }

  #requireWritable(): void {
    if (this.#closed || !this.#socket.writable) throw new ChannelClosedError('the connection is closed')
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
    })
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const resume of waiters) resume()
  }

  #onReadEnd(): void {
    this.#readEnded = true
    this.#wake()
  }

  #onClose(): void {
    this.#closed = true
    this.#wake()
  }

  #onIdle(): void {
    this.#idleExpiries += 1
    this.#wake()
  }

  #abandon(message: string, cause?: unknown): StartTlsError {
    this.destroy()
    return new StartTlsError(message, { cause })
  }

  #listen(socket: Socket): void {
    for (const [event, listener] of this.#listeners) socket.on(event, listener)
  }

  #unlisten(socket: Socket): void {
    for (const [event, listener] of this.#listeners) socket.off(event, listener)
    // TLS takes over; an error of the raw socket reaches the TLS socket, this only keeps it from being unhandled.
    socket.on('error', () => undefined)
  }
}

/** The names of a certificate whose chain ends at an authority: OpenSSL's verdict on the chain alone. */
class CertifiedNames {
  #certificate: TlsCertificate | undefined

  /** Node asks for the identity only when the chain is valid. */
  set(certificate: TlsCertificate): void {
    this.#certificate = certificate
  }

  include(host: string): boolean {
    return this.#certificate !== undefined && checkServerIdentity(host, this.#certificate) === undefined
  }
}

function secureSocket(plain: Socket, context: TlsContext, names: CertifiedNames): TLSSocket {
  if (context.role === 'client') return connectTls({ socket: plain, ...clientOptions(context, names) })
  return new TLSSocket(plain, { isServer: true, secureContext: context.secureContext })
}

/** Any certificate is taken; OpenSSL's verdict on chain and host name is kept in `authorized`. */
function clientOptions({ host, authorities }: ClientTlsContext, names: CertifiedNames): ConnectionOptions {
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: false,
    checkServerIdentity(_, certificate) {
      names.set(certificate)
      return host === undefined ? new Error('no host to check') : checkServerIdentity(host, certificate)
    },
    ...(authorities === undefined ? {} : { ca: [...authorities] }),
  }
}

async function handshake(socket: TLSSocket, done: 'secure' | 'secureConnect'): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error('no TLS handshake in time')), HANDSHAKE_TIMEOUT_MS)
  socket.once(done, resolve)
  socket.once('close', () => reject(new Error('closed during the TLS handshake')))
  socket.on('error', reject)
  try {
    await promise
  } finally {
    clearTimeout(timer)
  }
}

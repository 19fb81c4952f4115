import { X509Certificate } from 'node:crypto'
import {
  type ByteChannel,
  ChannelClosedError,
  ChannelIdleError,
  type PeerCertificate,
  StartTlsError,
  type TlsContext,
} from './byte-channel.ts'
import { peerCertificate } from './peer-certificate.ts'

/** Bytes on their way to a reader before `write` waits: small, so that tests meet back-pressure. */
const DEFAULT_BUFFER_BYTES = 64 * 1024

/** Two connected channels without a socket, for tests of protocol code; `startTls` meets its counterpart in memory. */
export function createMemoryChannelPair(
  options: { readonly bufferBytes?: number } = {},
): readonly [client: MemoryChannel, server: MemoryChannel] {
  const bufferBytes = options.bufferBytes ?? DEFAULT_BUFFER_BYTES
  const client = new MemoryChannel(bufferBytes)
  const server = new MemoryChannel(bufferBytes)
  client.connect(server)
  server.connect(client)
  return [client, server]
}

/** One end of a memory pair. Idle time passes only when the test calls `expireIdle`. */
export class MemoryChannel implements ByteChannel {
  readonly remoteAddress = 'memory'
  readonly #bufferBytes: number
  #peer: MemoryChannel | undefined
  #inbox: Uint8Array[] = []
  #inboxBytes = 0
  #inboxEnded = false as boolean
  #closed = false as boolean
  #secure = false as boolean
  #tls: TlsContext | undefined
  #peerCertificate: PeerCertificate | undefined
  #idleTimeoutMs = 0
  #idleExpiries = 0
  #waiters: (() => void)[] = []

  constructor(bufferBytes: number) {
    this.#bufferBytes = bufferBytes
  }

  /** Names the other end; once, by `createMemoryChannelPair`. */
  connect(peer: MemoryChannel): void {
    this.#peer = peer
  }

  get secure(): boolean {
    return this.#secure
  }

  get peerCertificate(): PeerCertificate | undefined {
    return this.#peerCertificate
  }

  /** The time-out the consumer asked for last, milliseconds; 0 for none. */
  get idleTimeoutMs(): number {
    return this.#idleTimeoutMs
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Lets the idle time pass: a pending read or write fails, if a time-out was set. */
  expireIdle(): void {
    if (this.#idleTimeoutMs === 0) return
    this.#idleExpiries += 1
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (let chunk = await this.#read(); chunk !== undefined; chunk = await this.#read()) yield chunk
  }

  async write(bytes: Uint8Array): Promise<void> {
    const peer = this.#openPeer()
    peer.#inbox.push(bytes.slice())
    peer.#inboxBytes += bytes.length
    peer.#wake()
    const expiries = this.#idleExpiries
    while (peer.#inboxBytes > this.#bufferBytes) {
      await this.#change()
      this.#openPeer()
      if (this.#idleExpiries !== expiries) throw new ChannelIdleError('the peer takes no more bytes')
    }
  }

  async startTls(context: TlsContext): Promise<void> {
    const peer = this.#peer
    if (peer === undefined || this.#secure || this.#inboxBytes > 0) {
      this.destroy()
      throw new StartTlsError('plaintext behind STARTTLS')
    }
    this.#tls = context
    peer.#wake()
    while (peer.#tls === undefined && !this.#closed && this.#inboxBytes === 0) await this.#change()
    const other = peer.#tls
    if (other === undefined || other.role === context.role) {
      this.destroy()
      throw new StartTlsError('the other end does not start TLS')
    }
    this.#secure = true
    if (other.role === 'server') {
      this.#peerCertificate = peerCertificate(new X509Certificate(other.certificatePem), false)
    }
  }

  async end(): Promise<void> {
    const peer = this.#peer
    this.#close()
    if (peer !== undefined) {
      peer.#inboxEnded = true
      peer.#wake()
    }
  }

  destroy(): void {
    this.#inbox = []
    this.#inboxBytes = 0
    this.#close()
    if (this.#peer !== undefined) {
      this.#peer.#inboxEnded = true
      this.#peer.#wake()
    }
  }

  setIdleTimeout(ms: number): void {
    this.#idleTimeoutMs = ms
  }

  async #read(): Promise<Uint8Array | undefined> {
    const expiries = this.#idleExpiries
    for (;;) {
      if (this.#closed) return undefined
      const chunk = this.#inbox.shift()
      if (chunk !== undefined) {
        this.#inboxBytes -= chunk.length
        if (this.#peer !== undefined) this.#peer.#wake()
        return chunk
      }
      if (this.#inboxEnded) return undefined
      await this.#change()
      if (this.#idleExpiries !== expiries)
        throw new ChannelIdleError('nothing was received for the idle time')
    }
  }

  #openPeer(): MemoryChannel {
    if (this.#closed || this.#peer === undefined || this.#peer.#closed) {
      throw new ChannelClosedError('the connection is closed')
    }
    return this.#peer
  }

  #close(): void {
    this.#closed = true
    this.#wake()
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
}

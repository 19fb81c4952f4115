/** What a CM server did wrong, or that there is none. */
export type CmProtocolErrorCode =
  /** No connection: refused, unresolvable, no route. */
  | 'unreachable'
  /** The host resolves to private or local addresses only, and came from the network (design 8.4). */
  | 'forbidden-address'
  /** A `.onion` or `.i2p` server, and no proxy for it (CM wire 8.1). */
  | 'no-proxy'
  /** The proxy itself cannot be reached; nothing goes around it. */
  | 'proxy-down'
  /** The proxy does not connect us, or does not speak SOCKS5. */
  | 'proxy-refused'
  /** The server greeted with BUSY. */
  | 'busy'
  /** A wait ended without what was waited for, or the server drips. */
  | 'timeout'
  /** The server hung up in the middle. */
  | 'closed'
  /** No PROCEED, a failed handshake, or plaintext in front of it. */
  | 'tls'
  /** A line that is no answer to what was asked. */
  | 'unexpected-reply'
  | 'line-too-long'
  /** More lines or octets than any honest reply has. */
  | 'reply-too-large'
  /** A lone CR or LF, octets that are no text, a block without headers. */
  | 'malformed-reply'
  /** The payload does not hash to the key asked for. */
  | 'wrong-hash'
  /** Another type of block than the key can have. */
  | 'wrong-type'
  /** Octets nobody asked for: the reply before was split. */
  | 'unsolicited-bytes'

/**
 * A CM server that cannot be reached, does not keep to the protocol or lies. The session it happened in is over; the
 * next server may do better. Holds no text of the server but the reply, cut short.
 */
export class CmProtocolError extends Error {
  override readonly name = 'CmProtocolError'
  readonly code: CmProtocolErrorCode
  /** The reply line that was wrong, at most 120 characters, printable ASCII. */
  readonly reply: string | undefined
  /** `host:port` of the proxy the connection was to go through, when it did not come about. */
  readonly proxyHostPort: string | undefined

  constructor(
    code: CmProtocolErrorCode,
    options: {
      readonly reply?: string
      readonly proxyHostPort?: string | undefined
      readonly cause?: unknown
    } = {},
  ) {
    const reply = options.reply?.replace(/[^\x20-\x7e]/g, '?').slice(0, 120)
    super(reply === undefined ? `CM server: ${code}` : `CM server: ${code}: ${reply}`, {
      cause: options.cause,
    })
    this.code = code
    this.reply = reply
    this.proxyHostPort = options.proxyHostPort
  }
}

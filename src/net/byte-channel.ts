import type { SecureContext } from 'node:tls'

/**
 * A connection as the protocol modules see it. One consumer reads by `for await`; leaving the loop does not close the
 * channel, and a later loop goes on where the last one stopped. Iteration ends when the peer has closed its side or is
 * gone (reset); it throws `ChannelIdleError` when the idle time-out passes.
 */
export interface ByteChannel extends AsyncIterable<Uint8Array> {
  /**
   * Resolves when the channel took the bytes and its buffer has room again (back-pressure). Rejects with
   * `ChannelClosedError` once the channel is closed, `ChannelIdleError` when the peer takes nothing for the idle time.
   */
  write(bytes: Uint8Array): Promise<void>
  /**
   * Turns the connection into TLS; call it right after writing the protocol's "go ahead". Plaintext that is already
   * buffered in the channel is never given out: the channel is destroyed and this rejects with `StartTlsError`, as it
   * does when the handshake fails. The caller's own framer must be empty too (it closes the connection otherwise).
   * Source: CM wire 7.2 and S4, RFC 3501 6.2.1, RFC 3207 6.
   */
  startTls(context: TlsContext): Promise<void>
  /** True once TLS is up. */
  readonly secure: boolean
  /** The peer's IP address without port; `memory` for a memory channel. */
  readonly remoteAddress: string
  /** The peer's certificate after a TLS handshake in which it sent one. */
  readonly peerCertificate: PeerCertificate | undefined
  /** Flushes what was written, closes our side and resolves when the connection is closed (the peer gets a few seconds). */
  end(): Promise<void>
  /** Drops the connection at once; safe to call twice. */
  destroy(): void
  /** Milliseconds without a byte in either direction before reading or writing fails; 0 switches it off (the default). */
  setIdleTimeout(ms: number): void
}

/** How one end does TLS; made by `server-tls.ts` or written down as a literal by a client. */
export type TlsContext = ServerTlsContext | ClientTlsContext

export interface ServerTlsContext {
  readonly role: 'server'
  readonly secureContext: SecureContext
  /** The certificate (and chain) that is shown, PEM. */
  readonly certificatePem: string
}

/**
 * A client that takes any certificate and looks at `peerCertificate` afterwards (CM wire 7.2: no chain check, no SNI).
 * Only with `host` can the certificate turn out to be publicly trusted.
 */
export interface ClientTlsContext {
  readonly role: 'client'
  /** The name or address the certificate should be valid for. */
  readonly host?: string
  /** Trusted authorities, PEM; the public ones of this Node when absent. */
  readonly authorities?: readonly string[]
}

/** A certificate as shown by the peer. */
export interface PeerCertificate {
  /** SHA-1 of the DER certificate, 40 lower-case hex digits: what reference servers pin (CM wire 9.3). */
  readonly sha1: string
  /** SHA-256 of the DER certificate, 64 lower-case hex digits. */
  readonly sha256: string
  /** For people: subject, issuer, validity, key; one line each, printable ASCII. */
  readonly description: string
  /** True when it is valid now, for the host that was asked for, under the authorities. */
  readonly publiclyTrusted: boolean
  /** True when it is valid now for this host too, under the authorities: a server may stand for several names. */
  isTrustedFor(host: string): boolean
}

/** The channel is closed, by us or by the peer: nothing can be written any more. */
export class ChannelClosedError extends Error {
  override readonly name = 'ChannelClosedError'
}

/** Nothing moved for the idle time. The channel can still be written to (a farewell) and must then be ended. */
export class ChannelIdleError extends Error {
  override readonly name = 'ChannelIdleError'
}

/** TLS did not come up: plaintext behind STARTTLS, or a failed handshake. The channel is destroyed. */
export class StartTlsError extends Error {
  override readonly name = 'StartTlsError'
}

/** What the CM client needs from outside; the store implements it. */

/** A server's certificate as first seen, per `host:port` exactly as configured (CM wire 8.4). */
export interface RememberedCertificate {
  /** SHA-256 of the DER certificate, lower-case hex. */
  readonly sha256: string
  /** For people: subject, issuer, validity, key; one line each. */
  readonly description: string
  readonly firstSeenMs: number
}

/** Remembered server certificates (design 9: trust on first use, a change never replaces the record by itself). */
export interface CertificateMemory {
  recall(hostPort: string): Promise<RememberedCertificate | undefined>
  /** First sight only: an existing record is left alone. */
  remember(hostPort: string, certificate: RememberedCertificate): Promise<void>
  /** A server showed another certificate than the remembered one; kept for the owner to accept, one notice per change. */
  reportChange(hostPort: string, seen: RememberedCertificate): Promise<void>
  /** The other certificate is valid for the host under public authorities: it becomes the record, with a notice. */
  replace(hostPort: string, seen: RememberedCertificate): Promise<void>
}

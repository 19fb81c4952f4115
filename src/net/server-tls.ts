import { createSecureContext } from 'node:tls'
import type { ServerTlsContext } from './byte-channel.ts'

/**
 * A server's side of TLS, made once per certificate and shared by its connections: TLS 1.2 or newer (design 6; the
 * reference client speaks exactly 1.2, CM wire 7.2). Throws when key and certificate do not fit each other.
 */
export function createServerTls(identity: {
  readonly certificatePem: string
  readonly privateKeyPem: string
}): ServerTlsContext {
  return {
    role: 'server',
    certificatePem: identity.certificatePem,
    secureContext: createSecureContext({
      cert: identity.certificatePem,
      key: identity.privateKeyPem,
      minVersion: 'TLSv1.2',
    }),
  }
}

import type { Secret } from '../base/secret.ts'
import type { Certificate, CertificateRefusal } from './certificate.ts'

/** An unlocked secret key with its certificate; `armored` is read again for each operation, so that threads can share it. */
export interface SecretKey {
  readonly certificate: Certificate
  readonly armored: Secret<string>
}

export type SecretKeyResult =
  | { readonly kind: 'ok'; readonly secretKey: SecretKey }
  /** It has a passphrase, and none or a wrong one was given. */
  | { readonly kind: 'locked' }
  | { readonly kind: 'refused'; readonly reason: CertificateRefusal }

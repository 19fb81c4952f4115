import type { KeyId } from './ids.ts'

/** `good` names the primary key, whichever of its subkeys signed (CM wire 3.3). */
export type ClearSignatureVerdict =
  | { readonly kind: 'good'; readonly keyId: KeyId; readonly createdMs: number }
  | { readonly kind: 'bad' }
  | { readonly kind: 'unknown-key' }

/** What is wrong with a detached signature over a message (CM message 5.5). */
export type BadSignatureReason =
  | 'signature-unreadable'
  | 'signature-type'
  | 'signature-wrong'
  | 'signer-key-expired'
  | 'signer-key-revoked'

/** What a detached signature says, judged by the clock that was given (CM message 5.5). */
export type DetachedVerdict =
  | { readonly kind: 'good'; readonly signer: KeyId; readonly createdMs: number }
  /** True, but ahead of our clock by more than the tolerance, or made by a key that is: judge it again at `notBeforeMs`. */
  | { readonly kind: 'future'; readonly signer: KeyId; readonly notBeforeMs: number }
  | { readonly kind: 'bad'; readonly signer: KeyId | undefined; readonly reason: BadSignatureReason }
  | { readonly kind: 'unknown-key'; readonly issuer: string }

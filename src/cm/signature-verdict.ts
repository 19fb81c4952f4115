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

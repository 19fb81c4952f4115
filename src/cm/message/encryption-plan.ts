import type { ByteStream } from './byte-stream.ts'

/** To whom and with what a message is encrypted; plain data. */
export interface EncryptionPlan {
  /** Armored public certificates; the newest valid encryption subkey of each, else a primary that may encrypt. */
  readonly certificates: readonly string[]
  /** 32 random bytes, AES-256. Ours, because only then is SEIPDv1 written whatever a certificate advertises. */
  readonly sessionKey: Uint8Array
  readonly date: Date
}

/** What became of an attempt to decrypt, before any content was read. */
export type DecryptedStream =
  | { readonly kind: 'decrypting'; readonly content: ByteStream }
  | { readonly kind: 'failed'; readonly reason: 'not-openpgp' | 'not-for-us' | 'undecryptable' }

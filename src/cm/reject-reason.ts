/**
 * Why a block or a record is not taken: the closed list behind every verdict, one word each, as `cmbridge inspect`
 * prints it and as the CM server counts it.
 */
export const REJECT_REASONS = [
  /** No Type, or one we do not know (values are case-sensitive, CM wire 2.1). */
  'type',
  /** A needed part is missing or has the wrong form. */
  'malformed',
  /** A line the protocol forbids or reserves (CM wire 2.8, S5, S6). */
  'forbidden-header',
  /** More lines, records or octets than we take (S9). */
  'too-large',
  /** The payload is not exactly as long as `Data:` says (S17). */
  'length',
  /** Date missing, malformed or impossible (S3). */
  'date',
  /** Date more than a day ahead (S11). */
  'future',
  /** Older than its type allows, or past Expires. */
  'expired',
  /** No proof of work, or a weaker one than asked for. */
  'proof-of-work',
  /** What the block holds does not hash to the key it is stored under. */
  'hash-mismatch',
  /** A message announcement without a Recipient (S8). */
  'recipient',
  /** The logged-in user is not the key that speaks (S1, CM wire 4). */
  'user',
  /** A claim or key announcement with no signature. */
  'unsigned',
  /** The signature is bad, or its key is expired or revoked. */
  'signature',
  /** The key block is not one usable version 4 certificate (K03, K13). */
  'certificate',
  /** What is stored is as new or newer. */
  'not-newer',
  /** Byte for byte what is stored already. */
  'unchanged',
] as const

export type RejectReason = (typeof REJECT_REASONS)[number]

/** System flags a client may set (RFC 9051 2.3.2); `\Recent` is the server's and never stored. */
export const SYSTEM_FLAGS = ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'] as const

/** Keywords of ours that a client sees (design 7.10, 10). */
export const CM_KEYWORDS = {
  verified: '$CMVerified',
  unverified: '$CMUnverified',
  collision: '$CMCollision',
  badSignature: '$CMBadSignature',
  phishing: '$Phishing',
  pending: '$CMPending',
  delivered: '$CMDelivered',
  held: '$CMHeld',
  lookup: '$CMLookup',
  work: '$CMWork',
  sending: '$CMSending',
  failed: '$CMFailed',
} as const

/** A flag: a system flag in the spelling above, or a keyword. Compared without regard to case (RFC 9051 2.3.2). */
export type Flag = string

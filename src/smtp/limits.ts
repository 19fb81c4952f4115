import { duration } from '../base/clock.ts'

/** Bounds of one SMTP connection; each is a number with its reason, tests may set smaller ones. */
export interface SmtpLimits {
  /** Accepted recipients of one transaction: the least RFC 5321 4.5.3.1.8 allows, plenty for a household. */
  readonly maxRecipients: number
  /** Refused recipients of one transaction before the connection ends: each may have cost a look-up. */
  readonly maxRefusedRecipients: number
  /** Octets of a command line without CRLF: RFC 4954 4 asks for 12,288 on AUTH, more than any other needs. */
  readonly maxCommandBytes: number
  /** Commands before a login besides AUTH: EHLO, STARTTLS and EHLO are what clients need. */
  readonly maxUnauthenticatedCommands: number
  /** Milliseconds from the connection to its login, whatever the peer sends meanwhile. */
  readonly maxUnauthenticatedMs: number
  /** Failed AUTH of one connection before it ends; the back-off across connections is the bridge's. */
  readonly maxFailedLogins: number
  /** Milliseconds without a byte from the peer: RFC 5321 4.5.3.2.7 asks for 5 minutes at least. */
  readonly idleTimeoutMs: number
  /** Milliseconds a closing server waits for messages that are under way. */
  readonly closeGraceMs: number
}

export const SMTP_LIMITS: SmtpLimits = {
  maxRecipients: 100,
  maxRefusedRecipients: 100,
  maxCommandBytes: 12_288,
  maxUnauthenticatedCommands: 20,
  maxUnauthenticatedMs: 2 * duration.minute,
  maxFailedLogins: 5,
  idleTimeoutMs: 5 * duration.minute,
  closeGraceMs: 5 * duration.second,
}

/** Octets of an address in MAIL and RCPT: RFC 5321 4.5.3.1.3 allows a path of 256 with its `<>`. */
export const MAX_ADDRESS_BYTES = 254
/** RFC 3461 4.4. */
export const MAX_ENVELOPE_ID_CHARACTERS = 100
/** RFC 3461 4.2. */
export const MAX_ORIGINAL_RECIPIENT_CHARACTERS = 500
/** Octets of a reply line with its code and CRLF (RFC 5321 4.5.3.1.5). */
export const MAX_REPLY_LINE_BYTES = 512
/** Octets of an EHLO name that are kept for the log. */
export const MAX_HELLO_NAME_BYTES = 255

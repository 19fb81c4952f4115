import type { Secret } from '../base/secret.ts'

/** What the submission server needs from outside; the bridge implements it. Decisions come back as replies. */

/** One SMTP reply (RFC 5321 4.2, RFC 3463). */
export interface SmtpReply {
  readonly replyCode: number
  /** `5.1.1`; empty for replies that have none. */
  readonly enhancedStatusCode: string
  readonly text: string
}

export interface SmtpLoginAttempt {
  readonly authcid: string
  readonly authzid: string
  readonly password: Secret<string>
  readonly protocol: 'smtp'
  readonly remoteAddress: string
  readonly secure: boolean
}

export type SmtpLoginOutcome =
  | { readonly kind: 'ok'; readonly session: SubmissionSession }
  | { readonly kind: 'refused' }
  | { readonly kind: 'throttled'; readonly retryAfterMs: number }

/** The longest a message is held, seconds: a year, said in EHLO (RFC 4865 4). */
export const MAX_HOLD_SECONDS = 31_536_000

/** HOLDFOR or HOLDUNTIL (RFC 4865 4): the message goes out then. */
export type HoldRequest =
  | { readonly kind: 'for'; readonly seconds: number }
  /** Milliseconds since 1970. */
  | { readonly kind: 'until'; readonly ms: number }

export interface MailFromCommand {
  /** The reverse-path as sent, without `<>`; empty for `<>` (read receipts). */
  readonly address: string
  /** SIZE=, octets; null when not given. */
  readonly declaredBytes: number | null
  readonly envelopeId: string | null
  /** DSN RET= (RFC 3461 4.3). */
  readonly returnContent: 'full' | 'headers' | null
  readonly hold: HoldRequest | null
}

export interface RcptToCommand {
  /** The forward-path as sent, without `<>`, before any IDN conversion. */
  readonly address: string
  /** DSN NOTIFY= words, lower case (RFC 3461 4.1); empty when not given. */
  readonly notify: readonly ('never' | 'success' | 'failure' | 'delay')[]
  readonly originalRecipient: string | null
}

export interface Submission {
  /** Octets: announced in SIZE, enforced at MAIL and while DATA arrives. */
  readonly maxMessageBytes: number
  login(attempt: SmtpLoginAttempt): Promise<SmtpLoginOutcome>
}

/** One logged-in SMTP connection. */
export interface SubmissionSession {
  begin(
    command: MailFromCommand,
  ): Promise<{ readonly reply: SmtpReply; readonly transaction?: SubmissionTransaction }>
}

/** One mail transaction (RFC 5321 3.3): recipients, then the content; `abandon` on RSET, a new EHLO or a lost connection. */
export interface SubmissionTransaction {
  addRecipient(command: RcptToCommand): Promise<SmtpReply>
  /**
   * Reads the whole content (dot-stuffing already removed), makes it durable, decides, and returns the reply.
   * `content` rejects when the connection is lost before the final dot; then nothing is kept.
   */
  accept(content: AsyncIterable<Uint8Array>): Promise<SmtpReply>
  abandon(): Promise<void>
}

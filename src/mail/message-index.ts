/**
 * What is computed once when a message arrives and stored beside it, so that no FETCH but that of a body opens it.
 * All strings are *byte strings* (one char per octet, Latin-1), exactly as they stand in the message, unfolded
 * where noted: nothing is lost and nothing is guessed. Offsets count octets from the start of the message.
 */

/** One address of an ENVELOPE (RFC 9051 7.5.2). `host: null` with a mailbox opens a group; both null close it. */
export interface EnvelopeAddress {
  readonly name: string | null
  readonly adl: null
  readonly mailbox: string | null
  readonly host: string | null
}

/** ENVELOPE (RFC 9051 7.5.2). Header values are unfolded, encoded words are left as they are. */
export interface ImapEnvelope {
  readonly date: string | null
  readonly subject: string | null
  readonly from: readonly EnvelopeAddress[] | null
  readonly sender: readonly EnvelopeAddress[] | null
  readonly replyTo: readonly EnvelopeAddress[] | null
  readonly to: readonly EnvelopeAddress[] | null
  readonly cc: readonly EnvelopeAddress[] | null
  readonly bcc: readonly EnvelopeAddress[] | null
  readonly inReplyTo: string | null
  readonly messageId: string | null
}

/** A half-open range of octets, `[start, end)`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

export type Parameters = readonly (readonly [name: string, value: string])[]

interface PartBase {
  /** The part's MIME header including its closing empty line; for the root, the message header. */
  readonly header: ByteRange
  /** The part's content, without the line break that belongs to the next boundary. */
  readonly body: ByteRange
  /** Lower case, `text/plain` when the part names none. */
  readonly type: string
  readonly subtype: string
  readonly parameters: Parameters
  readonly contentId: string | null
  readonly description: string | null
  readonly md5: string | null
  readonly disposition: { readonly type: string; readonly parameters: Parameters } | null
  readonly language: readonly string[] | null
  readonly location: string | null
}

/** A part of a message (RFC 9051 7.5.2 BODYSTRUCTURE). */
export type BodyPart =
  | (PartBase & { readonly kind: 'multipart'; readonly parts: readonly BodyPart[] })
  | (PartBase & { readonly kind: 'basic' | 'text'; readonly encoding: string; readonly lines: number })
  | (PartBase & {
      readonly kind: 'message'
      readonly encoding: string
      readonly lines: number
      readonly envelope: ImapEnvelope
      /** The embedded message: its `header` and `body` are ranges of the whole message too. */
      readonly message: BodyPart
    })

/** Everything the store keeps of a message besides its bytes. */
export interface MessageIndex {
  /** RFC822.SIZE: octets of BODY[]. */
  readonly size: number
  readonly envelope: ImapEnvelope
  readonly structure: BodyPart
  /** The message header as it stands, with its closing empty line, cut at MAX_INDEXED_HEADER_BYTES. */
  readonly headerBytes: Uint8Array
  /** Milliseconds since 1970 of the Date field, or null when there is none that can be read. */
  readonly dateMs: number | null
}

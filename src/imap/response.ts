import type { Flag } from '../mail/flags.ts'
import type { BodyPart, ImapEnvelope } from '../mail/message-index.ts'
import type { BodySection } from './fetch-item.ts'
import type { Uid } from './port.ts'
import type { SeqNum } from './sequence-set.ts'

/** Everything the server says, as data. `encoder.ts` alone knows how it is spelled. */

/** resp-text-code of RFC 9051 7.1, RFC 4315, RFC 5530. */
export type ResponseCode =
  | {
      readonly kind:
        | 'ALREADYEXISTS'
        | 'AUTHENTICATIONFAILED'
        | 'CANNOT'
        | 'CLIENTBUG'
        | 'CLOSED'
        | 'EXPUNGEISSUED'
        | 'LIMIT'
        | 'NONEXISTENT'
        | 'PRIVACYREQUIRED'
        | 'READ-ONLY'
        | 'READ-WRITE'
        | 'SERVERBUG'
        | 'TRYCREATE'
        | 'UNAVAILABLE'
    }
  | { readonly kind: 'BADCHARSET'; readonly charsets: readonly string[] }
  | { readonly kind: 'CAPABILITY'; readonly names: readonly string[] }
  | { readonly kind: 'PERMANENTFLAGS'; readonly flags: readonly Flag[] }
  | { readonly kind: 'UIDNEXT' | 'UIDVALIDITY' | 'UNSEEN'; readonly number: number }
  | { readonly kind: 'APPENDUID'; readonly uidValidity: number; readonly uid: Uid }
  | {
      readonly kind: 'COPYUID'
      readonly uidValidity: number
      readonly from: readonly Uid[]
      readonly to: readonly Uid[]
    }

export type MailboxAttribute =
  | '\\Noselect'
  | '\\HasChildren'
  | '\\HasNoChildren'
  | '\\Drafts'
  | '\\Sent'
  | '\\Archive'
  | '\\Junk'
  | '\\Trash'

/** Names of STATUS items (RFC 3501 6.3.10). */
export type StatusItem = 'MESSAGES' | 'RECENT' | 'UIDNEXT' | 'UIDVALIDITY' | 'UNSEEN'

/** What a body section gives: NIL (there is no such part), octets at hand, or octets that are read while they are sent. */
export type BodyContent =
  | null
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'stream'; readonly size: number; readonly chunks: AsyncIterable<Uint8Array> }

/** msg-att of RFC 9051 9. */
export type FetchItem =
  | { readonly kind: 'UID'; readonly uid: Uid }
  | { readonly kind: 'FLAGS'; readonly flags: readonly Flag[] }
  | { readonly kind: 'INTERNALDATE'; readonly date: Date }
  | { readonly kind: 'RFC822.SIZE'; readonly size: number }
  | { readonly kind: 'ENVELOPE'; readonly envelope: ImapEnvelope }
  | { readonly kind: 'BODY' | 'BODYSTRUCTURE'; readonly structure: BodyPart }
  | { readonly kind: 'RFC822' | 'RFC822.HEADER' | 'RFC822.TEXT'; readonly content: BodyContent }
  | {
      readonly kind: 'section'
      readonly section: BodySection
      /** The origin octet of a partial fetch. */
      readonly origin: number | null
      readonly content: BodyContent
    }

/** An untagged response or a continuation request. */
export type Untagged =
  | {
      readonly kind: 'condition'
      readonly status: 'OK' | 'NO' | 'BAD' | 'BYE'
      readonly code?: ResponseCode
      readonly text: string
    }
  | { readonly kind: 'CAPABILITY' | 'ENABLED'; readonly names: readonly string[] }
  | {
      readonly kind: 'LIST' | 'LSUB'
      readonly attributes: readonly MailboxAttribute[]
      /** Decoded Unicode; empty only in the answer to `LIST "" ""`. */
      readonly mailboxName: string
    }
  | {
      readonly kind: 'STATUS'
      readonly mailboxName: string
      readonly items: readonly (readonly [StatusItem, number])[]
    }
  | { readonly kind: 'SEARCH'; readonly numbers: readonly number[] }
  | { readonly kind: 'FLAGS'; readonly flags: readonly Flag[] }
  | { readonly kind: 'EXISTS' | 'RECENT'; readonly count: number }
  | { readonly kind: 'EXPUNGE'; readonly seqNum: SeqNum }
  | { readonly kind: 'FETCH'; readonly seqNum: SeqNum; readonly items: readonly FetchItem[] }
  /** One personal namespace, no others (RFC 2342). */
  | { readonly kind: 'NAMESPACE' }
  | { readonly kind: 'ID'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'continuation'; readonly text: string }

/** The outcome of a command, before its tag. */
export interface TaggedReply {
  readonly status: 'OK' | 'NO' | 'BAD'
  readonly code?: ResponseCode
  readonly text: string
}

export type Response = Untagged | ({ readonly kind: 'tagged'; readonly tag: string } & TaggedReply)

import type { Brand } from '../base/brand.ts'
import type { Secret } from '../base/secret.ts'
import type { Flag } from '../mail/flags.ts'
import type { ByteRange, MessageIndex } from '../mail/message-index.ts'

/** What the IMAP server needs from outside. The store implements `AccountMail`, the bridge `Authenticator`. */

/** RFC 9051 2.3.1.1: 1 to 2^32-1, strictly ascending in a mailbox, never used again. */
export type Uid = Brand<number, 'Uid'>

export interface LoginAttempt {
  /** Who logs in (RFC 4616 authcid; LOGIN's user name). */
  readonly authcid: string
  /** Who to act as; empty for "myself". */
  readonly authzid: string
  readonly password: Secret<string>
  readonly protocol: 'imap' | 'smtp'
  readonly remoteAddress: string
  readonly secure: boolean
}

export type LoginOutcome<Account> =
  | { readonly kind: 'ok'; readonly account: Account }
  /** Unknown user, wrong password, wrong scope, foreign authzid: the peer is not told which. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'throttled'; readonly retryAfterMs: number }

export interface Authenticator {
  /** Throws only for our own fault; then the login is refused (fail closed). */
  login(attempt: LoginAttempt): Promise<LoginOutcome<AccountMail>>
}

export type SpecialUse = '\\Drafts' | '\\Sent' | '\\Archive' | '\\Junk' | '\\Trash'

export interface MailboxInfo {
  /** Decoded Unicode name, levels separated by `/`; INBOX in capitals. */
  readonly name: string
  readonly specialUse: SpecialUse | null
  readonly subscribed: boolean
  /** False for a name that exists only as a parent (`\Noselect`). */
  readonly selectable: boolean
}

export interface MailboxStatus {
  readonly messages: number
  readonly unseen: number
  readonly deleted: number
  readonly size: number
  readonly uidNext: number
  readonly uidValidity: number
  readonly highestModSeq: number
}

/** What a view keeps of each message. */
export interface MessageSummary {
  readonly uid: Uid
  readonly modSeq: number
  readonly flags: readonly Flag[]
}

/** A message with everything but its body. */
export interface MessageRecord extends MessageSummary {
  readonly internalDate: Date
  readonly index: MessageIndex
}

/** A committed change of one mailbox, published in commit order, after the commit. */
export type MailboxChange =
  | { readonly kind: 'added'; readonly message: MessageSummary }
  | { readonly kind: 'flags'; readonly message: MessageSummary }
  | { readonly kind: 'expunged'; readonly uid: Uid; readonly modSeq: number }
  /** The mailbox is gone; sessions that have it open end with BYE. */
  | { readonly kind: 'deleted' }

export type MailboxOutcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'no-such-mailbox' }
  | { readonly kind: 'already-exists' }
  /** Not allowed for this mailbox (INBOX, a special one, Outbox, a name that cannot be); `reason` is for the user. */
  | { readonly kind: 'refused'; readonly reason: string }

export type AppendOutcome =
  | { readonly kind: 'ok'; readonly uidValidity: number; readonly uid: Uid }
  | { readonly kind: 'no-such-mailbox' }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Over the size limit, or no room on the disk: NO [LIMIT]. */
  | { readonly kind: 'limit'; readonly reason: string }

export type CopyOutcome =
  | {
      readonly kind: 'ok'
      readonly uidValidity: number
      /** In the order of the source UIDs; UIDs that are no longer there are left out. */
      readonly pairs: readonly { readonly from: Uid; readonly to: Uid }[]
    }
  | { readonly kind: 'no-such-mailbox' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'limit'; readonly reason: string }

export type StoreFlagsMode = 'replace' | 'add' | 'remove'

/** A spooled message on its way into the store. Exactly one of commit or discard ends it. */
export interface AppendSink {
  /** Resolves when the store took the bytes (back-pressure). Rejects with DiskFullError or our own fault. */
  write(bytes: Uint8Array): Promise<void>
  /** Makes the message durable and visible. Refuses messages with NUL. */
  commit(options: {
    readonly flags: readonly Flag[]
    readonly internalDate: Date | null
  }): Promise<AppendOutcome>
  discard(): Promise<void>
}

/** A selected mailbox: a snapshot, and every change after it. */
export interface OpenMailbox {
  readonly name: string
  readonly uidValidity: number
  /** Messages in ascending UID order at the moment of opening; changes that follow are given to the listener, none is lost between. */
  readonly messages: readonly MessageSummary[]
  readonly uidNext: number
  readonly highestModSeq: number
  /** Flags the mailbox knows, system flags and keywords. */
  readonly knownFlags: readonly Flag[]
  /** Records for those of the UIDs that are there, ascending; read in bounded batches. */
  fetch(uids: readonly Uid[]): AsyncIterable<MessageRecord>
  /** Streams the octets of a range of BODY[]; undefined when the message is gone. Stays readable for a short grace after an expunge. */
  readBody(uid: Uid, range: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined>
  storeFlags(
    uids: readonly Uid[],
    mode: StoreFlagsMode,
    flags: readonly Flag[],
  ): Promise<readonly MessageSummary[]>
  copyTo(uids: readonly Uid[], mailboxName: string): Promise<CopyOutcome>
  moveTo(uids: readonly Uid[], mailboxName: string): Promise<CopyOutcome>
  /** Removes those of the UIDs (all when undefined) that have \Deleted; returns the removed. */
  expunge(uids: readonly Uid[] | undefined): Promise<readonly Uid[]>
  close(): void
}

/** The mail of the one account a session is logged in to; names of other accounts cannot be said through it. */
export interface AccountMail {
  readonly accountName: string
  /** Octets: the largest message APPEND takes. */
  readonly maxMessageBytes: number
  listMailboxes(): Promise<readonly MailboxInfo[]>
  createMailbox(name: string): Promise<MailboxOutcome>
  deleteMailbox(name: string): Promise<MailboxOutcome>
  renameMailbox(from: string, to: string): Promise<MailboxOutcome>
  /** A name may be subscribed before it exists and stay subscribed after it is gone (RFC 9051 6.3.7). */
  setSubscribed(name: string, subscribed: boolean): Promise<MailboxOutcome>
  /** Subscribed names, whether they exist or not. */
  listSubscriptions(): Promise<readonly string[]>
  status(name: string): Promise<MailboxStatus | undefined>
  open(name: string, onChange: (change: MailboxChange) => void): Promise<OpenMailbox | undefined>
  /** A sink for one message of that size, or why it cannot be taken (told before the literal is read). */
  beginAppend(name: string, sizeBytes: number): Promise<AppendSink | AppendOutcome>
}

import type { BlockKey } from '../ids.ts'

/** What the CM server needs from outside; `store/cm-blocks.ts` implements it on its own directory. */

/** In the order in which they answer a GET of one key: signed types first (CM wire S2). */
export const BLOCK_TYPES = [
  'key-announcement',
  'address-claim',
  'message-announcement',
  'acknowledgment',
  'data',
] as const

export type BlockType = (typeof BLOCK_TYPES)[number]

/** The line between two records of a block, with its LF; empty where a block is one record (CM wire 2.4, 4). */
export const RECORD_SEPARATORS: Readonly<Record<BlockType, string>> = {
  'key-announcement': '',
  'address-claim': 'NextClaim\n',
  'message-announcement': 'NextMessage\n',
  acknowledgment: '',
  data: '',
}

/** Octets of the largest payload that comes and lies with its row; larger ones go to a file (design 4). */
export const SMALL_PAYLOAD_BYTES = 64 * 1024
/** Records of one slot. A mailbox of 5,000 is a busy one; beyond this somebody is filling it (CM wire S9). */
export const MAX_SLOT_RECORDS = 20_000
/** Octets of text in one slot: what one GET can carry, and what our own client reads of one reply (CM wire S9). */
export const MAX_SLOT_TEXT_BYTES = 8 * 1024 * 1024

/** One record of a slot; the whole block where the type has one record only. It was judged valid (CM wire 2.2). */
export interface BlockRecord {
  /** What a newer record replaces: MessageHash or claiming key id, 40 lower-case hex digits; the block's key elsewhere. */
  readonly identity: string
  /** Its Date, milliseconds since 1970: the newer replaces, and it lives until it is older than its type may be. */
  readonly dateMs: number
  /** As it is given out: LF line ends; for data the header lines with `Data: n`. */
  readonly text: string
}

/** What one accepted upload puts into its slot. */
export interface BlockUpload {
  readonly type: BlockType
  readonly key: BlockKey
  readonly records: readonly BlockRecord[]
  /** A data block's payload of at most SMALL_PAYLOAD_BYTES, in a buffer of its own. */
  readonly payload?: Uint8Array | undefined
  /** Queues what is new of it for the peer in the same transaction: who posted it, `none` for nobody (CM wire 9.3). */
  readonly replicateFor?: string | undefined
}

export type StoreOutcome =
  /** Something was new, or newer than what was there: the texts of those records (CM wire S13). */
  | { readonly kind: 'stored'; readonly added: readonly string[] }
  | { readonly kind: 'unchanged' }
  /** The slot holds as much as a slot may; nothing of the upload was stored. */
  | { readonly kind: 'full' }

/** True when a record takes the place of one with the same identity and that Date; undefined: there is none (CM wire 2.4). */
export function replaces(record: Pick<BlockRecord, 'dateMs'>, storedMs: number | undefined): boolean {
  return storedMs === undefined || record.dateMs > storedMs
}

/** What lies under a key and has not expired. */
export interface FoundBlock {
  readonly type: BlockType
  /** Octets of the payload; 0 for text types. */
  readonly payloadBytes: number
  /** The texts of its records by Date, then identity; read as they are asked for, so that a full mailbox is never held. */
  records(): AsyncIterable<string>
  /** Data blocks: the payload in pieces. */
  payload(): AsyncIterable<Uint8Array>
}

export interface FindOptions {
  readonly type?: BlockType
  /** Only records that are not older, milliseconds since 1970; for message announcements (CM wire 7.5). */
  readonly sinceMs?: number | undefined
  /**
   * Asked of the first slot that is not empty, before its live records are looked for, which costs the more the fuller
   * it is; false: nothing is found.
   * `anyRecord` reads one of its records, whichever is at hand.
   */
  readonly mayRead?: (type: BlockType, anyRecord: () => string) => boolean
}

/** Blocks, one slot per (type, key): types never replace each other (CM wire S2). */
export interface CmBlocks {
  /** What a GET of this key answers: key-announcement, claim, announcement, acknowledgment, data in this order. */
  find(key: BlockKey, options?: FindOptions): Promise<FoundBlock | undefined>
  /**
   * Puts those records into the slot that `replaces` says, all or none; atomic per (type, key), durable when it
   * resolves. The order of uploads does not matter, repeating one changes nothing (CM wire 2.4).
   */
  store(upload: BlockUpload): Promise<StoreOutcome>
  /** A private file for what is too large to be held while it arrives; nothing is visible before `commit`. */
  beginPayload(): Promise<PayloadSink>
}

export interface PayloadSink {
  /** Where the bytes go, so that a worker thread can hash and prove them without a copy. */
  readonly path: string
  write(bytes: Uint8Array): Promise<void>
  /** Stores the file as the payload of this data block, as `CmBlocks.store` does; durable when it resolves. */
  commit(upload: BlockUpload): Promise<StoreOutcome>
  discard(): Promise<void>
}

/** Result of a LOGIN against the account file (CM wire 7.7). */
export type CmLoginOutcome =
  | {
      readonly kind: 'ok'
      readonly userId: string
      /** False once the key was disabled, removed or given to another user; asked before each command. */
      readonly isValid: () => boolean
    }
  | { readonly kind: 'refused' }

/** One account: who may use the key. `undefined`: whoever logs in first; `disabled`: nobody (CM wire 7.7). */
export interface CmAccountEntry {
  readonly userId: string
  readonly authKey: string
}

export interface AssignOptions {
  /** Queues the change for the peer, in the same transaction (CM wire 9.3). */
  readonly tellPeer?: boolean
}

export interface LoginOptions extends AssignOptions {
  /** `remembered`: only keys that were good since the start are looked at, which costs nothing; others are refused. */
  readonly which?: 'all' | 'remembered'
}

export interface CmAccounts {
  /** Binds an `undefined` authkey to the user on first login; key ids are compared without regard to case. */
  login(userId: string, authKey: string, options?: LoginOptions): Promise<CmLoginOutcome>
  /**
   * Gives each key to its user, whatever it was before: all or none, in the order of the calls, durable when it
   * resolves.
   */
  assign(entries: readonly CmAccountEntry[], options?: AssignOptions): Promise<void>
  /** A key that belongs to nobody yet: 40 upper-case hex digits from the system's generator (CM wire S10). */
  newAuthKey(): string
}

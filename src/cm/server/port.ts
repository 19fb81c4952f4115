import type { BlockKey } from '../ids.ts'

/** What the CM server needs from outside; `store/cm-blocks.ts` implements it on its own directory. */

export type BlockType =
  | 'key-announcement'
  | 'address-claim'
  | 'message-announcement'
  | 'acknowledgment'
  | 'data'

/** A stored block: text blocks with LF line ends and no EndBlock; for data the header lines and the payload apart. */
export interface StoredBlock {
  readonly type: BlockType
  /** The whole block for text types; the header lines including `Data: n` for data. */
  readonly text: string
  /** Data blocks only: octets of the payload, read by `readPayload`. */
  readonly payloadBytes: number
}

/** What a store decision leaves: nothing changed, or the block that is now stored under (type, key). */
export type MergeDecision =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'rejected'; readonly reason: string }
  | {
      readonly kind: 'stored'
      readonly text: string
      /** Multi-record types: the records that are new in the block, or newer than what was there (CM wire S13). */
      readonly added?: readonly string[]
    }

/** Blocks, one slot per (type, key): types never replace each other (CM wire S2). */
export interface CmBlocks {
  get(type: BlockType, key: BlockKey): Promise<StoredBlock | undefined>
  /** The block a GET of this key answers: key-announcement, claim, announcement, acknowledgment, data in this order. */
  getAny(key: BlockKey): Promise<StoredBlock | undefined>
  readPayload(key: BlockKey): AsyncIterable<Uint8Array>
  /**
   * Replaces one text block by what `merge` makes of the stored one; atomic per (type, key), durable when it resolves.
   * `merge` is synchronous and pure.
   */
  update(
    type: BlockType,
    key: BlockKey,
    merge: (stored: string | undefined) => MergeDecision,
  ): Promise<MergeDecision>
  /** A private file for a payload that is arriving; nothing is visible before `commit`. */
  beginPayload(): Promise<PayloadSink>
}

export interface PayloadSink {
  /** Where the bytes go, so that a worker thread can hash and prove them without a copy. */
  readonly path: string
  write(bytes: Uint8Array): Promise<void>
  /** Stores header text and payload under the key if `accept` agrees with what is stored; durable when it resolves. */
  commit(
    key: BlockKey,
    text: string,
    accept: (stored: string | undefined) => MergeDecision,
  ): Promise<MergeDecision>
  discard(): Promise<void>
}

/** Result of a LOGIN against the account file (CM wire 7.7). */
export type CmLoginOutcome = { readonly kind: 'ok'; readonly userId: string } | { readonly kind: 'refused' }

/** One account: who may use the key. `undefined`: whoever logs in first; `disabled`: nobody (CM wire 7.7). */
export interface CmAccountEntry {
  readonly userId: string
  readonly authKey: string
}

export interface LoginOptions {
  /** `remembered`: only keys that were good since the start are looked at, which costs nothing; others are refused. */
  readonly which?: 'all' | 'remembered'
  /** Called inside the transaction that binds an `undefined` key to its first user. */
  readonly onChange?: ((entry: CmAccountEntry) => void) | undefined
}

export interface CmAccounts {
  /** Binds an `undefined` authkey to the user on first login; key ids are compared without regard to case. */
  login(userId: string, authKey: string, options?: LoginOptions): Promise<CmLoginOutcome>
  /**
   * Gives each key to its user, whatever it was before: all or none, in the order of the calls, durable when it
   * resolves. `onChange` is called for each inside the transaction.
   */
  assign(entries: readonly CmAccountEntry[], onChange?: (entry: CmAccountEntry) => void): Promise<void>
  /** A key that belongs to nobody yet: 40 upper-case hex digits from the system's generator (CM wire S10). */
  newAuthKey(): string
}

import type { Secret } from '../../../base/secret.ts'
import type { BlockKey } from '../../ids.ts'
import type { BlockType } from '../port.ts'
import type { ReceivedBlock } from '../receive-block.ts'

/** A block of a STORE PROXY as `receiveBlock` hands it on. */
export type ProxiedBlock = Extract<ReceivedBlock, { kind: 'text' | 'data' }>

export interface ProxiedUpload {
  readonly key: BlockKey
  /** The session's user, or `none` where the owner lets strangers use STORE PROXY: counts against the user's share. */
  readonly userId: string
  /** Leading `Post-To` lines included. The relay takes care of the payload's sink, whatever it answers. */
  readonly received: ProxiedBlock
  /** The date behind AFTER, milliseconds since 1970 UTC; undefined: at once. */
  readonly afterMs: number | undefined
}

export interface ReplicaOfBlock {
  readonly type: BlockType
  readonly key: BlockKey
  /** Who posted it here, `none` for nobody: the peer judges it as that user's (CM wire 9.3). */
  readonly userId: string
  /** What was accepted of the upload: LF lines, no EndBlock. Asked only when there is a peer, and never for data. */
  readonly text: () => string
}

/** What SELFTEST says of the sender (CM wire 7.9). */
export type SenderState =
  | { readonly kind: 'running' }
  /** No pass for `seconds`: longer than eight intervals. */
  | { readonly kind: 'stalled'; readonly seconds: number }

/** Everything our server sends to other servers, as the commands see it (CM wire 9.3, 9.4). */
export interface CmRelay {
  /** There is a server that gets a copy of everything; asked before an upload is handed over to be stored. */
  readonly hasPeer: boolean
  /**
   * Takes a block of STORE PROXY to pass it on to each of its targets. DONE: it is durable. FAILED: it is malformed,
   * could never be stored at a target, names a target we do not send to, or there is no room.
   */
  acceptProxied(upload: ProxiedUpload): Promise<'DONE' | 'FAILED'>
  /**
   * Queues an accepted STORE SERVER upload for the peer; nothing when there is no peer. Call it inside the `merge`
   * callback of `CmBlocks`: it writes to the same database, so block and entry become durable together or not at all.
   * Never call it for what came by REPLICATE: that would go round in circles.
   *
   * About to change: blocks are written by a writer thread (store/writer-thread.ts, many uploads in one COMMIT), where
   * no callback can go. An upload will say `replicateFor: userId` as data, and the store's operation calls
   * `queueReplica(tx: WriteTransaction, { type, key, userId, text })` of `store/cm-relay-rows.ts` (the relay's) in that
   * transaction. What stays on this port is `readonly hasPeer: boolean`, asked before the upload is handed over, and
   * `wake()` afterwards. Writes of the relay itself may go through the same thread as named operations
   * (`CmBlockStore.write`), so that nobody waits for the database's lock.
   */
  replicateBlock(block: ReplicaOfBlock): void
  /**
   * Queues a changed account for the peer, `disabled` and `undefined` as user ids included; nothing when there is no
   * peer. Call it inside the transaction that changes the account, in the order of the changes. Not for what came by
   * REPLOGIN. The binding of a key by its first LOGIN should be told too: the reference does not (CM wire 7.7).
   */
  replicateAccount(userId: string, authKey: Secret<string>): void
  senderState(): SenderState
  /** A connection that may have queued something has closed: what is due is sent now (CM wire 9.4). */
  wake(): void
}

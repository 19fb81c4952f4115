import type { BlockKey } from '../../ids.ts'
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

/** What SELFTEST says of the sender (CM wire 7.9). */
export type SenderState =
  | { readonly kind: 'running' }
  /** No pass for `seconds`: longer than eight intervals. */
  | { readonly kind: 'stalled'; readonly seconds: number }

/** Everything our server sends to other servers, as the commands see it (CM wire 9.3, 9.4). */
export interface CmRelay {
  /**
   * There is a server that gets a copy of everything: what clients upload says `replicateFor`, and the store queues it
   * in the transaction in which it becomes durable. What came by REPLICATE is not handed on: that would go round.
   */
  readonly hasPeer: boolean
  /**
   * Takes a block of STORE PROXY to pass it on to each of its targets. DONE: it is durable. FAILED: it is malformed,
   * could never be stored at a target, names a target we do not send to, or there is no room.
   */
  acceptProxied(upload: ProxiedUpload): Promise<'DONE' | 'FAILED'>
  senderState(): SenderState
  /** A connection that may have queued something has closed: what is due is sent now (CM wire 9.4). */
  wake(): void
}

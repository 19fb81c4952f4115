import type { Secret } from '../../../base/secret.ts'
import type { BlockKey } from '../../ids.ts'
import type { CertificateMemory } from '../../port.ts'
import type { BlockType } from '../port.ts'

/**
 * What waits to be sent, durable: what a promise stands for is durable when it resolves, and changing something that is
 * no longer there does nothing. `store/cm-relay.ts` implements it in the server's own database.
 */

/** A block of STORE PROXY with everything that is known of it when it is taken. */
export interface ProxiedItem {
  readonly key: BlockKey
  readonly userId: string
  readonly isData: boolean
  /** What is sent: LF lines without `Post-To`; for data the header with its `Data` line. */
  readonly text: string
  /** Data only: taken over into the queue; the file itself may go away afterwards. */
  readonly payload?: { readonly path: string; readonly bytes: number } | undefined
  /** `server=h:p[,h:p]` in lower case, each an independent target. */
  readonly targets: readonly string[]
  /** The date behind AFTER, a part of what makes it the same item. */
  readonly afterMs: number | undefined
  /** Not sent before; milliseconds since 1970 UTC. */
  readonly releaseMs: number
  /** Forgotten then, sent or not. */
  readonly expiresMs: number
}

/** How much may wait; octets are those of texts and payloads, a delivery is a block for one target. */
export interface QueueRoom {
  readonly bytes: number
  readonly deliveries: number
  readonly bytesPerUser: number
  readonly deliveriesPerUser: number
}

/** A block that is to be sent to a target. */
export interface ProxiedBlockToSend {
  readonly key: BlockKey
  readonly text: string
  /** Of a data block: a small one as octets, a larger one as a file. */
  readonly payload: Uint8Array | { readonly path: string; readonly bytes: number } | undefined
}

/** One block waiting for one target, in the order in which they are to be sent. */
export interface Delivery {
  readonly itemId: number
  /** Times it was refused, or broke the connection. */
  readonly failures: number
}

/** Something did not go and is tried again. */
export interface Retry {
  readonly failures: number
  /** Not before; milliseconds since 1970 UTC. */
  readonly nextMs: number
}

/** What waits for the peer, in the order of its arrival. */
export type ReplicaEntry = { readonly id: number; readonly failures: number; readonly nextMs: number } & (
  | ({ readonly kind: 'block' } & ReplicaOfUpload)
  | { readonly kind: 'account'; readonly userId: string; readonly authKey: Secret<string> }
)

/** What waits, for people. */
export interface QueueCounts {
  readonly proxied: number
  readonly proxiedBytes: number
  /** Targets something waits for. */
  readonly targets: number
  /** Of these, targets that did not take something the last time. */
  readonly failingTargets: number
  /** Blocks and accounts that wait for the peer. */
  readonly replicas: number
  /** Of these, entries that cannot be sent as they are: looked at by people only. */
  readonly setAside: number
}

/** Blocks of STORE PROXY and their targets. */
export interface ProxiedQueue {
  /** The same item again is one item; further targets are added to it. */
  add(item: ProxiedItem, room: QueueRoom): Promise<'queued' | 'full'>
  /** Targets something is due for, without those that are still delayed. */
  dueTargets(nowMs: number): readonly string[]
  /** At most `limit` deliveries that are due: the least troubled first, data before the rest, then by arrival. */
  dueDeliveries(target: string, nowMs: number, limit: number): readonly Delivery[]
  /** undefined when it is gone: sent, expired. */
  load(itemId: number): ProxiedBlockToSend | undefined
  /** The target has it; with its last target the item goes. */
  delivered(itemId: number, target: string): Promise<void>
  delay(itemId: number, target: string, retry: Retry): Promise<void>
  /** Removes items that are over; returns how many. */
  expire(nowMs: number): Promise<number>
  /** When a delay ends, of a delivery or a target, milliseconds since 1970; undefined: nothing is delayed. */
  nextDueMs(nowMs: number): number | undefined
}

/** A block that waits for the peer. */
export interface ReplicaOfUpload {
  readonly type: BlockType
  readonly key: BlockKey
  readonly userId: string
  /** For data the header: what is sent is read from the block store then, but another Date is another entry. */
  readonly text: string
}

/** Blocks and accounts that wait for the peer; the store queues them in the transactions that make them. */
export interface ReplicaQueue {
  /** At most `limit` entries behind `afterId`, by arrival, without those that were set aside. */
  after(afterId: number, limit: number): readonly ReplicaEntry[]
  /** The peer has it. An account's key is overwritten before its row goes. */
  remove(id: number): Promise<void>
  delay(id: number, retry: Retry): Promise<void>
  /** Never sent as it is; stays for people to look at. */
  setAside(id: number): Promise<void>
  hasDue(nowMs: number): boolean
  /** When the next delayed entry becomes due, milliseconds since 1970; undefined: none is delayed. */
  nextDueMs(nowMs: number): number | undefined
}

/** How often servers failed in a row; survives restarts. The peer is the target `replicate`. */
export interface TargetRetries {
  get(target: string): Retry
  /** `failures` 0 forgets the target. */
  set(target: string, retry: Retry): Promise<void>
}

export interface RelayQueue {
  readonly proxied: ProxiedQueue
  readonly replicas: ReplicaQueue
  readonly targets: TargetRetries
  /** Certificates of servers this one has connected to; never to be had through GET (CM wire S14). */
  readonly certificates: CertificateMemory
  counts(): QueueCounts
}

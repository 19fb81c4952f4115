import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { duration } from '../../base/clock.ts'
import { MAX_SERVER_PAYLOAD_BYTES } from '../../cm/block-text.ts'
import type { CmSession } from '../../cm/client/cm-session.ts'
import { type ServerAttempt, withServers } from '../../cm/client/with-servers.ts'
import { MAX_CIPHERTEXT_BYTES } from '../../cm/message/block-file.ts'
import { requireDiskRoom } from '../../store/blob-store.ts'
import { type InboundBlock, type InboundMessage, inboundMessage } from '../../store/inbound-queries.ts'
import { type BridgeContext, ownServersRequest, removeDirectory, requireAccount } from '../bridge-context.ts'
import type { Stage, StageContext } from '../worker.ts'

/** Servers keep blocks for ten days (CM wire 2.2): after that what is missing cannot come any more. */
const GIVE_UP_AFTER_MS = 11 * duration.day

/** The directory of an inbound message's data blocks. */
export function inboundDirectory(context: Pick<BridgeContext, 'directories'>, inboundId: number): string {
  return join(context.directories.inbound, String(inboundId))
}

/** The file of one data block: its payload alone. */
export function inboundBlockPath(
  context: Pick<BridgeContext, 'directories'>,
  inboundId: number,
  position: number,
): string {
  return join(inboundDirectory(context, inboundId), `block-${position}`)
}

/** Fetches the data blocks that are missing; what was fetched stays, also over restarts and servers (design 8.2). */
export function createFetchStage(context: BridgeContext): Stage {
  return async (stage) => {
    const inboundId = Number(stage.lease.row.slice(2))
    const message = inboundMessage(context.store.read, inboundId)
    if (message === undefined) return { kind: 'lease-lost' }
    await mkdir(inboundDirectory(context, inboundId), { recursive: true, mode: 0o700 })
    const missing = message.blocks.filter(({ isFetched }) => !isFetched)
    const problem = missing.length === 0 ? undefined : await fetchBlocks(context, stage, { message, missing })
    if (problem === TOO_LARGE) return expire(context, stage, { inboundId, reason: 'larger than any message' })
    if (problem === undefined) {
      const due = await context.store.write('finishFetch', {
        lease: stage.lease,
        accountId: stage.accountId,
        inboundId,
      })
      return due.length === 0 ? { kind: 'lease-lost' } : { kind: 'moved', due }
    }
    if (context.clock.now() - message.seenMs < GIVE_UP_AFTER_MS) return { kind: 'retry', reason: problem }
    return expire(context, stage, { inboundId, reason: 'data blocks never came' })
  }
}

/** More blocks than a message can have: one block may be named thousands of times and fill the disk. */
const TOO_LARGE = Symbol('too large')

async function expire(
  context: BridgeContext,
  stage: StageContext,
  { inboundId, reason }: { readonly inboundId: number; readonly reason: string },
): ReturnType<Stage> {
  const outcome = await context.store.write('finishInbound', {
    lease: stage.lease,
    accountId: stage.accountId,
    inboundId,
    end: { kind: 'expire' },
    reason,
    fingerprint: null,
    contacts: [],
    pin: null,
    notices: [],
  })
  if (outcome.kind === 'lease-lost') return outcome
  await removeDirectory(inboundDirectory(context, inboundId))
  return { kind: 'moved', due: outcome.due }
}

/** Undefined when all are there; else why not. */
async function fetchBlocks(
  context: BridgeContext,
  stage: StageContext,
  given: { readonly message: InboundMessage; readonly missing: readonly InboundBlock[] },
): Promise<string | typeof TOO_LARGE | undefined> {
  const account = requireAccount(context, stage.accountId)
  const left = new Set(given.missing)
  let bytes = await fetchedBytes(context, given.message)
  const fetchAll = async (session: CmSession): Promise<ServerAttempt<typeof TOO_LARGE | undefined>> => {
    for (const block of left) {
      if (bytes > MAX_CIPHERTEXT_BYTES) return { kind: 'done', value: TOO_LARGE }
      const fetched = await fetchBlock(context, { session, stage, block, inboundId: given.message.id })
      if (fetched.kind === 'stop') return { kind: 'next', reason: fetched.reason }
      if (fetched.kind === 'not-here') continue
      bytes += fetched.bytes
      left.delete(block)
    }
    return left.size === 0 ? { kind: 'done', value: undefined } : { kind: 'next', reason: 'not-found' }
  }
  const outcome = await withServers(ownServersRequest(context, account), fetchAll)
  if (outcome.kind === 'done') return outcome.value
  return outcome.failures.map(({ hostPort, reason }) => `${hostPort} ${reason}`).join(', ') || 'no server'
}

interface BlockToFetch {
  readonly session: CmSession
  readonly stage: StageContext
  readonly block: InboundBlock
  readonly inboundId: number
}

type FetchedBlock =
  | { readonly kind: 'fetched'; readonly bytes: number }
  | { readonly kind: 'not-here' }
  | { readonly kind: 'stop'; readonly reason: 'timeout' | 'refused' }

async function fetchBlock(
  context: BridgeContext,
  { session, stage, block, inboundId }: BlockToFetch,
): Promise<FetchedBlock> {
  if (stage.signal.aborted) return { kind: 'stop', reason: 'timeout' }
  await requireDiskRoom(context.directories.inbound, MAX_SERVER_PAYLOAD_BYTES)
  const { key, position } = block
  const reply = await session.getData(key, inboundBlockPath(context, inboundId, position))
  if (reply.kind === 'refused') return { kind: 'stop', reason: 'refused' }
  if (reply.kind !== 'data') return { kind: 'not-here' }
  const held = await context.store.write('markBlockFetched', { lease: stage.lease, inboundId, position })
  // Not held: another attempt has the row and writes the same files.
  return held ? { kind: 'fetched', bytes: reply.payloadBytes } : { kind: 'stop', reason: 'timeout' }
}

/** Octets of the blocks that lie here already. */
async function fetchedBytes(context: BridgeContext, message: InboundMessage): Promise<number> {
  let bytes = 0
  for (const { position, isFetched } of message.blocks) {
    if (!isFetched) continue
    const path = inboundBlockPath(context, message.id, position)
    // A file that is gone is missed and fetched again when the message is put together.
    if (existsSync(path)) bytes += (await stat(path)).size
  }
  return bytes
}

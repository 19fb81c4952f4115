import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { duration } from '../../base/clock.ts'
import type { CmSession } from '../../cm/client/cm-session.ts'
import { type ServerAttempt, withServers } from '../../cm/client/with-servers.ts'
import { type InboundBlock, type InboundMessage, inboundMessage } from '../../store/inbound-queries.ts'
import { type BridgeContext, ownServersRequest, requireAccount } from '../bridge-context.ts'
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
    if (problem === undefined) {
      const due = await context.store.write('finishFetch', {
        lease: stage.lease,
        accountId: stage.accountId,
        inboundId,
      })
      return due.length === 0 ? { kind: 'lease-lost' } : { kind: 'moved', due }
    }
    if (context.clock.now() - message.seenMs < GIVE_UP_AFTER_MS) return { kind: 'retry', reason: problem }
    return expire(context, stage, inboundId)
  }
}

async function expire(context: BridgeContext, stage: StageContext, inboundId: number): ReturnType<Stage> {
  const outcome = await context.store.write('finishInbound', {
    lease: stage.lease,
    accountId: stage.accountId,
    inboundId,
    end: { kind: 'expire' },
    reason: 'data blocks never came',
    fingerprint: null,
    contacts: [],
    pin: null,
    notices: [],
  })
  return outcome.kind === 'lease-lost' ? outcome : { kind: 'moved', due: outcome.due }
}

/** Undefined when all are there; else why not. */
async function fetchBlocks(
  context: BridgeContext,
  stage: StageContext,
  given: { readonly message: InboundMessage; readonly missing: readonly InboundBlock[] },
): Promise<string | undefined> {
  const account = requireAccount(context, stage.accountId)
  const left = new Set(given.missing)
  const fetchAll = async (session: CmSession): Promise<ServerAttempt<void>> => {
    for (const block of left) {
      if (stage.signal.aborted) return { kind: 'next', reason: 'timeout' }
      const path = inboundBlockPath(context, given.message.id, block.position)
      const reply = await session.getData(block.key, path)
      if (reply.kind === 'refused') return { kind: 'next', reason: 'refused' }
      if (reply.kind !== 'data') continue
      await context.store.write('markBlockFetched', {
        lease: stage.lease,
        inboundId: given.message.id,
        position: block.position,
      })
      left.delete(block)
    }
    return left.size === 0 ? { kind: 'done', value: undefined } : { kind: 'next', reason: 'not-found' }
  }
  const outcome = await withServers(ownServersRequest(context, account), fetchAll)
  if (outcome.kind === 'done') return undefined
  return outcome.failures.map(({ hostPort, reason }) => `${hostPort} ${reason}`).join(', ') || 'no server'
}

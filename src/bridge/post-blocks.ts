import { join } from 'node:path'
import { duration } from '../base/clock.ts'
import type { CmSession, StoreReply } from '../cm/client/cm-session.ts'
import { describeFailures } from '../cm/client/describe-failures.ts'
import { type ServerAttempt, type ServersOutcome, withServers } from '../cm/client/with-servers.ts'
import type { UnpostedBlock } from '../store/outbound-queries.ts'
import { isLeaseHeld } from '../store/work-queries.ts'
import {
  type BridgeContext,
  namedServersRequest,
  ownServersRequest,
  requireAccount,
} from './bridge-context.ts'
import { readSlice } from './encode-blocks.ts'
import type { PostRoute } from './post-routes.ts'
import { renewBlock } from './renew-block.ts'
import type { StageContext } from './worker.ts'

/** Servers drop blocks older than ten days although they answer DONE (CM wire 8.5): renewed well before. */
const RENEW_AFTER_MS = 7 * duration.day
/** Octets of payload after which it is written down what is posted: a pass that is cut off repeats no more than that. */
const MARK_EVERY_BYTES = 4 * 1024 * 1024

/** One pass of posting a message. */
export interface PostPass {
  readonly context: BridgeContext
  readonly stage: StageContext
  /** Blocks that servers took and that no row says so of yet. */
  readonly unmarked: number[]
}

/** What became of the blocks for one target. */
export type PostOutcome =
  | { readonly kind: 'posted'; readonly hostPort: string }
  /** What is in the way, for people. */
  | { readonly kind: 'failed'; readonly problem: string }
  /** Taken out of the Outbox meanwhile, or the bridge closes: no server gets the rest (design 7.10). */
  | { readonly kind: 'stopped' }

/**
 * Posts blocks to one target, data before announcements, over the first route that takes them all. What a server took
 * is not given to the next one; what it refused or dropped is (CM wire 8.2 says what the reference loses there).
 */
export async function postBlocks(
  pass: PostPass,
  blocks: readonly UnpostedBlock[],
  routes: readonly PostRoute[],
): Promise<PostOutcome> {
  const left = new Set(blocks)
  const problems: string[] = []
  for (const route of routes) {
    const outcome = await postOver(pass, route, left)
    if (outcome.kind === 'done') {
      return outcome.value === 'stopped'
        ? { kind: 'stopped' }
        : { kind: 'posted', hostPort: outcome.hostPort }
    }
    if (pass.stage.signal.aborted) return { kind: 'stopped' }
    const via = route.kind === 'own-server' ? 'through the own server: ' : ''
    problems.push(`${via}${describeFailures(outcome.failures)}`)
  }
  return { kind: 'failed', problem: problems.join('; ') || 'no server' }
}

function postOver(
  pass: PostPass,
  route: PostRoute,
  left: Set<UnpostedBlock>,
): Promise<ServersOutcome<'posted' | 'stopped'>> {
  const { context, stage } = pass
  const request =
    route.kind === 'direct'
      ? namedServersRequest(context, route.servers, stage.accountId)
      : ownServersRequest(context, requireAccount(context, stage.accountId))
  const { signal } = stage
  return withServers({ ...request, signal }, (session) => postLeft(pass, { session, route, left }))
}

type Attempt = ServerAttempt<'posted' | 'stopped'>
const STOPPED: Attempt = { kind: 'done', value: 'stopped' }
const REFUSED: Attempt = { kind: 'next', reason: 'refused' }

async function postLeft(
  pass: PostPass,
  posting: {
    readonly session: CmSession
    readonly route: PostRoute
    readonly left: Set<UnpostedBlock>
  },
): Promise<Attempt> {
  const { session, route, left } = posting
  let unmarkedBytes = 0
  let isRefused = false
  for (const block of left) {
    const reply = await postBlock(pass, { session, block, route })
    if (reply === 'stopped') return STOPPED
    if (reply.kind === 'refused') {
      // Nothing is announced that is not there; a full mailbox is no matter of the others at that server.
      if (block.type === 'data') return REFUSED
      isRefused = true
      continue
    }
    left.delete(block)
    pass.unmarked.push(block.id)
    unmarkedBytes += block.payload?.bytes ?? 0
    if (unmarkedBytes >= MARK_EVERY_BYTES) {
      unmarkedBytes = 0
      if (!(await markPosted(pass))) return STOPPED
    }
  }
  return isRefused ? REFUSED : { kind: 'done', value: 'posted' }
}

function isStopped({ context, stage }: PostPass): boolean {
  return stage.signal.aborted || !isLeaseHeld(context.store.read, stage.lease)
}

/** Writes down what is posted so far; false when the lease was lost. */
export async function markPosted({ context, stage, unmarked }: PostPass): Promise<boolean> {
  const blockIds = unmarked.splice(0)
  return blockIds.length === 0 || context.store.write('markBlocksPosted', { lease: stage.lease, blockIds })
}

async function postBlock(
  pass: PostPass,
  target: { readonly session: CmSession; readonly block: UnpostedBlock; readonly route: PostRoute },
): Promise<StoreReply | 'stopped'> {
  if (isStopped(pass)) return 'stopped'
  const { context, stage } = pass
  const { session, block, route } = target
  const { payload } = block
  const bytes =
    payload === null
      ? null
      : await readSlice(join(context.directories.outbound, payload.file), payload.start, payload.bytes)
  let { text } = block
  if (context.clock.now() - block.createdMs > RENEW_AFTER_MS) {
    text = await renewBlock(context, { block, payload: bytes, signal: stage.signal })
    const held = await context.store.write('renewBlockText', { lease: stage.lease, blockId: block.id, text })
    if (!held) return 'stopped'
  }
  if (route.kind === 'direct') {
    return bytes === null ? session.storeText(block.key, text) : session.storeData(block.key, text, bytes)
  }
  const { afterMs } = route
  const how = { kind: 'proxy', ...(afterMs === undefined ? {} : { afterMs }) } as const
  const addressed = `${route.postTo}${text}`
  return bytes === null
    ? session.storeText(block.key, addressed, how)
    : session.storeData(block.key, addressed, bytes, how)
}

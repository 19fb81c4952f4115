import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { duration } from '../../base/clock.ts'
import { MAX_SERVER_PAYLOAD_BYTES } from '../../cm/block-text.ts'
import { MAX_CIPHERTEXT_BYTES } from '../../cm/message/block-file.ts'
import { requireDiskRoom } from '../../store/blob-store.ts'
import { type InboundBlock, type InboundMessage, inboundMessage } from '../../store/inbound-queries.ts'
import { MAIL_PLACES, placeRequest } from '../account-places.ts'
import { askServers, type Question } from '../ask-servers.ts'
import { type BridgeContext, removeDirectory, requireAccount } from '../bridge-context.ts'
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

interface Fetching {
  readonly stage: StageContext
  readonly message: InboundMessage
  /** Octets that lie here. */
  bytes: number
}

/** Undefined when all are there; else why not. Asked are the own servers, then those the account left (CM wire 8.6). */
async function fetchBlocks(
  context: BridgeContext,
  stage: StageContext,
  given: { readonly message: InboundMessage; readonly missing: readonly InboundBlock[] },
): Promise<string | typeof TOO_LARGE | undefined> {
  const account = requireAccount(context, stage.accountId)
  const fetching: Fetching = {
    stage,
    message: given.message,
    bytes: await fetchedBytes(context, given.message),
  }
  const left = new Set(given.missing)
  const complaints: string[] = []
  for (const place of MAIL_PLACES) {
    const request = placeRequest(context, account, place)
    if (request === undefined || left.size === 0) continue
    const questions = [...left].map((block) => blockQuestion(context, fetching, { block, left }))
    const { complaint } = await askServers(request, questions)
    if (fetching.bytes > MAX_CIPHERTEXT_BYTES) return TOO_LARGE
    complaints.push(...(complaint === undefined ? [] : [complaint]))
  }
  return left.size === 0 ? undefined : complaints.join('; ') || 'no server'
}

/** A block that is not what it should be ends its connection and nothing else: the others are asked for all the same. */
function blockQuestion(
  context: BridgeContext,
  fetching: Fetching,
  { block, left }: { readonly block: InboundBlock; readonly left: Set<InboundBlock> },
): Question {
  const { stage, message } = fetching
  const { key, position } = block
  return {
    name: `block ${position}`,
    async ask(session) {
      if (stage.signal.aborted || fetching.bytes > MAX_CIPHERTEXT_BYTES) return 'stop'
      await requireDiskRoom(context.directories.inbound, MAX_SERVER_PAYLOAD_BYTES)
      const reply = await session.getData(key, inboundBlockPath(context, message.id, position))
      if (reply.kind !== 'data') return reply.kind === 'refused' ? 'refused' : 'missing'
      const { lease } = stage
      // The last one is marked with the end of the fetch: one commit for a message of one block, which most are.
      const held =
        left.size === 1 ||
        (await context.store.write('markBlockFetched', { lease, inboundId: message.id, position }))
      // Not held: another attempt has the row and writes the same files.
      if (!held) return 'stop'
      fetching.bytes += reply.payloadBytes
      left.delete(block)
      return 'answered'
    },
  }
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

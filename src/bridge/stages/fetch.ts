import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { duration } from '../../base/clock.ts'
import { MAX_CIPHERTEXT_BYTES } from '../../cm/message/block-file.ts'
import { MAX_IN_MEMORY_BYTES } from '../../cm/message/byte-source.ts'
import { type InboundBlock, type InboundMessage, inboundMessage } from '../../store/inbound-queries.ts'
import { MAIL_PLACES, placeRequest } from '../account-places.ts'
import { askServers, type Question } from '../ask-servers.ts'
import { type BridgeContext, removeDirectory, requireAccount } from '../bridge-context.ts'
import {
  inboundBlockPath,
  inboundDirectory,
  prepareInboundFile,
  writeInboundBlock,
} from '../inbound-files.ts'
import type { Stage, StageContext } from '../worker.ts'
import { decodeAtOnce } from './decode.ts'

/** Servers keep blocks for ten days (CM wire 2.2): after that what is missing cannot come any more. */
const GIVE_UP_AFTER_MS = 11 * duration.day

/**
 * Fetches the data blocks that are missing; what was fetched stays, also over restarts and servers (design 8.2). A small
 * message of one block is opened and delivered at once, without a file: until that is committed its server has it. What
 * must wait or cannot be read is put on the disk like the others.
 */
export function createFetchStage(context: BridgeContext): Stage {
  return async (stage) => {
    const inboundId = Number(stage.lease.row.slice(2))
    const message = inboundMessage(context.store.read, inboundId)
    if (message === undefined) return { kind: 'lease-lost' }
    const fetched = await fetchMissing(context, stage, message)
    if (fetched instanceof Uint8Array) {
      const outcome = await decodeAtOnce(context, stage, { message, ciphertext: fetched })
      if (outcome !== undefined) return outcome
      await writeInboundBlock(context, inboundId, { position: 0, payload: fetched })
      return finish(context, stage, inboundId)
    }
    if (fetched === 'all') return finish(context, stage, inboundId)
    if (fetched === 'too-large')
      return expire(context, stage, { inboundId, reason: 'larger than any message' })
    const reason = fetched.problem
    if (context.clock.now() - message.seenMs < GIVE_UP_AFTER_MS) return { kind: 'retry', reason }
    return expire(context, stage, { inboundId, reason: 'data blocks never came' })
  }
}

/** All blocks lie here: the message is decoded next. */
async function finish(context: BridgeContext, stage: StageContext, inboundId: number): ReturnType<Stage> {
  const { lease, accountId } = stage
  const due = await context.store.write('finishFetch', { lease, accountId, inboundId })
  return due.length === 0 ? { kind: 'lease-lost' } : { kind: 'moved', due }
}

type Fetched =
  /** They lie in their files. */
  | 'all'
  /** The payload of a message of one small block, not on the disk. */
  | Uint8Array
  /** More blocks than a message can have: one block may be named thousands of times and fill the disk. */
  | 'too-large'
  | { readonly problem: string }

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
  /** The payload of a message of one small block: it is not on the disk. */
  held: Uint8Array | undefined
}

/** Asks the own servers, then those the account left (CM wire 8.6). */
async function fetchMissing(
  context: BridgeContext,
  stage: StageContext,
  message: InboundMessage,
): Promise<Fetched> {
  const left = new Set(message.blocks.filter(({ isFetched }) => !isFetched))
  const account = requireAccount(context, stage.accountId)
  const bytes = await fetchedBytes(context, message)
  const fetching: Fetching = { stage, message, bytes, held: undefined }
  const complaints: string[] = []
  for (const place of MAIL_PLACES) {
    const request = placeRequest(context, account, place)
    if (request === undefined || left.size === 0) continue
    const questions = [...left].map((block) => blockQuestion(context, fetching, { block, left }))
    const { complaint } = await askServers(request, questions)
    if (fetching.bytes > MAX_CIPHERTEXT_BYTES) return 'too-large'
    complaints.push(...(complaint === undefined ? [] : [complaint]))
  }
  if (left.size > 0) return { problem: complaints.join('; ') || 'no server' }
  return fetching.held ?? 'all'
}

/** A block that is not what it should be ends its connection and nothing else: the others are asked for all the same. */
function blockQuestion(
  context: BridgeContext,
  fetching: Fetching,
  { block, left }: { readonly block: InboundBlock; readonly left: Set<InboundBlock> },
): Question {
  const { stage, message } = fetching
  const { key, position } = block
  const heldBytes = message.blocks.length === 1 ? MAX_IN_MEMORY_BYTES : 0
  return {
    name: `block ${position}`,
    async ask(session) {
      if (stage.signal.aborted || fetching.bytes > MAX_CIPHERTEXT_BYTES) return 'stop'
      const file = () => prepareInboundFile(context, message.id, position)
      const reply = await session.getData(key, { heldBytes, file })
      if (reply.kind !== 'data') return reply.kind === 'refused' ? 'refused' : 'missing'
      fetching.held = reply.payload
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

import { unreachable } from '../../base/unreachable.ts'
import { splitOutboxBlock } from '../block-text.ts'
import { type BlockKey, parseKeyId } from '../ids.ts'
import { parseUtcTime } from '../utc-time.ts'
import type { BlockAction, CommandParts } from './command.ts'
import type { CmServerContext, SessionUser } from './context.ts'
import type { PayloadSink } from './port.ts'
import type { PayloadPlace, ReceivedBlock } from './receive-block.ts'
import type { ProxiedBlock } from './relay/port.ts'
import {
  acceptBlockPayload,
  acceptPayload,
  type StoreTarget,
  storeBlock,
  withLargeText,
} from './store-block.ts'

/** A command with a block behind it. */
export interface Upload {
  /** `refused`: the user may not give this command. */
  readonly action: BlockAction | 'refused'
  readonly parts: CommandParts
  readonly key: BlockKey
  readonly user: SessionUser | undefined
}

type WholeBlock = Exclude<ReceivedBlock, { kind: 'lost' | 'empty' }>

/** A file for a text too large to be held; undefined when the answer is FAILED whatever it says: it is only read. */
export async function acceptLargeText(
  { action, user }: Upload,
  context: CmServerContext,
): Promise<PayloadSink | undefined> {
  switch (action) {
    case 'store-server':
    case 'replicate':
      return context.blocks.beginPayload()
    case 'store-proxy':
      return mayRelay(user, context) ? context.blocks.beginPayload() : undefined
    case 'store-entangled':
    case 'refused':
      return undefined
    default:
      return unreachable(action)
  }
}

/** A place for the payload of a header that could be taken; undefined when it could not, whatever the payload is. */
export async function acceptUpload(
  { action, user }: Upload,
  { headerText, payloadBytes }: { readonly headerText: string; readonly payloadBytes: number },
  context: CmServerContext,
): Promise<PayloadPlace> {
  switch (action) {
    case 'store-server':
    case 'replicate':
      return acceptBlockPayload(headerText, payloadBytes, context)
    case 'store-proxy':
      if (!mayRelay(user, context)) return undefined
      return acceptPayload(splitOutboxBlock(headerText).body, context)
    case 'store-entangled':
    case 'refused':
      return undefined
    default:
      return unreachable(action)
  }
}

/** Does what the command asks for with the block that came; returns the reply (CM wire 7.3, 7.6). */
export async function answerUpload(
  upload: Upload,
  received: WholeBlock,
  context: CmServerContext,
): Promise<'DONE' | 'FAILED'> {
  const { action, key, user } = upload
  switch (action) {
    case 'store-server':
      return storeBlock(received, { key, user }, context)
    case 'replicate':
      return storeBlock(received, replicaTarget(upload), context)
    case 'store-proxy':
      return mayRelay(user, context) ? relayBlock(upload, received, context) : 'FAILED'
    // There is no DHT node: nothing can be put into it.
    case 'store-entangled':
    case 'refused':
      return 'FAILED'
    default:
      return unreachable(action)
  }
}

/** STORE PROXY needs a login, unless the owner wants an open relay, and a sender (CM wire 9.7, S6). */
function mayRelay(user: SessionUser | undefined, { relay, isOpenRelay = false }: CmServerContext): boolean {
  return relay !== undefined && (user !== undefined || isOpenRelay)
}

async function relayBlock(
  upload: Upload,
  received: WholeBlock,
  context: CmServerContext,
): Promise<'DONE' | 'FAILED'> {
  try {
    switch (received.kind) {
      case 'unstorable':
        throw received.error
      case 'text':
      case 'data':
        return await relayWhole(upload, received, context)
      case 'large-text':
        return await withLargeText(received.sink, context, async (text) =>
          text === undefined ? 'FAILED' : relayWhole(upload, { kind: 'text', text }, context),
        )
      // `acceptUpload` gives payloads of STORE PROXY a file, whatever their size.
      case 'small-data':
      case 'forbidden':
      case 'dropped':
        return 'FAILED'
    }
  } catch (error) {
    context.log.error({ cause: error }, 'a block to be passed on could not be kept')
    return 'FAILED'
  }
}

async function relayWhole(
  { key, user, parts: { after } }: Upload,
  received: ProxiedBlock,
  { relay }: CmServerContext,
): Promise<'DONE' | 'FAILED'> {
  const afterMs = after === undefined ? undefined : parseUtcTime(after)
  if (relay === undefined || (after !== undefined && afterMs === undefined)) {
    if (received.kind === 'data') await received.sink.discard()
    return 'FAILED'
  }
  return relay.acceptProxied({ key, userId: user?.userId ?? 'none', received, afterMs })
}

/** A block of another server counts as posted by whoever posted it there (CM wire 9.3). */
function replicaTarget({ key, parts: { poster = 'none' } }: Upload): StoreTarget {
  const user = poster.toLowerCase() === 'none' ? undefined : { userId: poster, keyId: parseKeyId(poster) }
  return { key, user, from: 'replica' }
}

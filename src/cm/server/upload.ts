import { unreachable } from '../../base/unreachable.ts'
import { splitOutboxBlock } from '../block-text.ts'
import { type BlockKey, parseKeyId } from '../ids.ts'
import { parseUtcTime } from '../utc-time.ts'
import type { BlockAction, CommandParts } from './command.ts'
import type { CmServerContext, SessionUser } from './context.ts'
import type { PayloadSink } from './port.ts'
import type { ReceivedBlock } from './receive-block.ts'
import { acceptPayload, type StoreTarget, storeBlock } from './store-block.ts'

/** A command with a block behind it. */
export interface Upload {
  /** `refused`: the user may not give this command. */
  readonly action: BlockAction | 'refused'
  readonly parts: CommandParts
  readonly key: BlockKey
  readonly user: SessionUser | undefined
}

type WholeBlock = Exclude<ReceivedBlock, { kind: 'lost' | 'empty' }>

/** A file for the payload of a header that could be taken; undefined when it could not, whatever the payload is. */
export async function acceptUpload(
  { action, user }: Upload,
  headerText: string,
  context: CmServerContext,
): Promise<PayloadSink | undefined> {
  switch (action) {
    case 'store-server':
    case 'replicate':
      return acceptPayload(headerText, context)
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
  { key, user, parts: { after } }: Upload,
  received: WholeBlock,
  { relay, log }: CmServerContext,
): Promise<'DONE' | 'FAILED'> {
  if (received.kind === 'unstorable') {
    log.error({ cause: received.error }, 'a block to be passed on could not be kept')
    return 'FAILED'
  }
  if (relay === undefined || received.kind === 'forbidden' || received.kind === 'dropped') return 'FAILED'
  const afterMs = after === undefined ? undefined : parseUtcTime(after)
  if (after !== undefined && afterMs === undefined) {
    if (received.kind === 'data') await received.sink.discard()
    return 'FAILED'
  }
  try {
    return await relay.acceptProxied({ key, userId: user?.userId ?? 'none', received, afterMs })
  } catch (error) {
    log.error({ cause: error }, 'a block to be passed on could not be kept')
    return 'FAILED'
  }
}

/** A block of another server counts as posted by whoever posted it there (CM wire 9.3). */
function replicaTarget({ key, parts: { poster = 'none' } }: Upload): StoreTarget {
  const user = poster.toLowerCase() === 'none' ? undefined : { userId: poster, keyId: parseKeyId(poster) }
  return { key, user, from: 'replica' }
}

import { parseAddressClaims } from '../address-claim.ts'
import { blockType } from '../block-text.ts'
import type { BlockRules, BlockVerdict } from '../block-verdict.ts'
import { type BlockKey, type KeyId, keyAnnouncementKey } from '../ids.ts'
import { judgeDataHeader } from '../judge-unsigned.ts'
import { parseKeyAnnouncement } from '../key-announcement.ts'
import { mergeBlocks } from '../merge.ts'
import type { CmServerContext, SessionUser, StoredNotice } from './context.ts'
import type { BlockType, CmBlocks, MergeDecision, PayloadSink } from './port.ts'
import type { ReceivedBlock } from './receive-block.ts'

/** Keys of one claim block that are looked up; a block of one poster speaks for one key. */
const MAX_LOOKED_UP_KEYS = 16

export interface StoreTarget {
  readonly key: BlockKey
  readonly from?: StoredNotice['from']
  readonly user: SessionUser | undefined
}

/** A file for a payload whose header could be stored; undefined when it could not, whatever the payload is. */
export async function acceptPayload(
  headerText: string,
  context: CmServerContext,
): Promise<PayloadSink | undefined> {
  if (blockType(headerText) !== 'data') return undefined
  if (judgeDataHeader(headerText, rulesOf(context)) !== undefined) return undefined
  return context.blocks.beginPayload()
}

/**
 * Judges, merges and stores one block; returns the reply. DONE means "received": what is invalid, old or not for this
 * user is dropped without a word, since a reference client would offer it for ever otherwise (CM wire 7.6). DONE for a
 * block that is stored is sent after it is durable.
 */
export async function storeBlock(
  received: Exclude<ReceivedBlock, { kind: 'lost' | 'empty' }>,
  target: StoreTarget,
  context: CmServerContext,
): Promise<'DONE' | 'FAILED'> {
  try {
    switch (received.kind) {
      case 'forbidden':
        return 'FAILED'
      case 'dropped':
        return 'DONE'
      case 'unstorable':
        throw received.error
      case 'text':
        await storeText(received.text, target, context)
        return 'DONE'
      case 'data':
        await storeData(received, target, context)
        return 'DONE'
    }
  } catch (error) {
    context.log.error({ cause: error }, 'a block could not be stored')
    return 'FAILED'
  }
}

async function storeText(text: string, target: StoreTarget, context: CmServerContext): Promise<void> {
  const { blocks, judge } = context
  const rules = rulesOf(context)
  const verdict = await judge({
    ...asked(target, rules),
    text,
    publicKeys: await knownKeys(text, blocks),
  })
  // A data block without payload is no block; only a `Data: n` line leads to one.
  if (verdict.reason !== undefined || verdict.type === undefined || verdict.type === 'data') {
    noteRejection(verdict, target, context)
    return
  }
  const { type } = verdict
  const merge = mergeAndReplicate(verdict, { type, rules }, { target, context })
  const decision = await blocks.update(type, target.key, merge)
  noteStored({ type, decision }, target, context)
}

async function storeData(
  received: Extract<ReceivedBlock, { kind: 'data' }>,
  target: StoreTarget,
  context: CmServerContext,
): Promise<void> {
  const { headerText, sink, sha1 } = received
  const rules = rulesOf(context)
  let decision: MergeDecision | undefined
  try {
    // The cheap test first: everything else runs over the whole payload (CM wire S9).
    if (sha1 !== target.key) return
    const verdict = await context.judge({
      ...asked(target, rules),
      text: headerText,
      payloadPath: sink.path,
      publicKeys: {},
    })
    if (verdict.reason !== undefined) {
      noteRejection(verdict, target, context)
      return
    }
    const merge = mergeAndReplicate(verdict, { type: 'data', rules }, { target, context })
    decision = await sink.commit(target.key, headerText, merge)
    noteStored({ type: 'data', decision }, target, context)
  } finally {
    if (decision === undefined) await sink.discard()
  }
}

/** What becomes of the slot; what a client made new goes to the peer in the same transaction (CM wire 9.3). */
function mergeAndReplicate(
  verdict: BlockVerdict,
  { type, rules }: { readonly type: BlockType; readonly rules: BlockRules },
  { target, context }: { readonly target: StoreTarget; readonly context: CmServerContext },
): (stored: string | undefined) => MergeDecision {
  const { key, user, from } = target
  // The records of this upload alone: the peer merges them into what it has.
  const text = (): string => {
    const alone = mergeBlocks(undefined, verdict, rules)
    return alone.kind === 'stored' ? alone.text : ''
  }
  return (stored) => {
    const decision = mergeBlocks(stored, verdict, rules)
    if (decision.kind === 'stored' && from !== 'replica') {
      context.relay?.replicateBlock({ type, key, userId: user?.userId ?? 'none', text })
    }
    return decision
  }
}

function rulesOf(context: CmServerContext): BlockRules {
  return { network: 'server', nowMs: context.clock.now(), maxAges: context.maxAges }
}

function asked({ key, user }: StoreTarget, rules: BlockRules) {
  return { key, poster: user?.keyId ?? ('none' as const), rules }
}

/** Certificates of claimants whose announcement lies here, so that their claims are verified (CM wire S7). */
async function knownKeys(text: string, blocks: CmBlocks): Promise<Record<KeyId, string>> {
  if (blockType(text) !== 'address-claim') return {}
  const claimants = (parseAddressClaims(text) ?? []).map((record) =>
    record.kind === 'signed' ? record.claim.keyId : undefined,
  )
  const known: Record<KeyId, string> = {}
  for (const keyId of [...new Set(claimants)].slice(0, MAX_LOOKED_UP_KEYS)) {
    if (keyId === undefined) continue
    const stored = await blocks.get('key-announcement', keyAnnouncementKey(keyId))
    const parsed = stored === undefined ? undefined : parseKeyAnnouncement(stored.text)
    if (parsed?.kind === 'ok') known[keyId] = parsed.announcement.keyBlock
  }
  return known
}

function noteStored(
  { type, decision }: { readonly type: BlockType; readonly decision: MergeDecision },
  { key, from = 'client' }: StoreTarget,
  context: CmServerContext,
): void {
  if (decision.kind === 'stored') context.onStored?.({ type, key, from, added: decision.added ?? [] })
}

function noteRejection(verdict: BlockVerdict, { key }: StoreTarget, { log }: CmServerContext): void {
  log.debug({ key, type: verdict.type, reason: verdict.reason ?? 'type' }, 'a block was not stored')
}

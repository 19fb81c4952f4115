import { readFile } from 'node:fs/promises'
import { parseAddressClaims } from '../address-claim.ts'
import { blockType, decodeBlockText } from '../block-text.ts'
import { type BlockRules, type BlockVerdict, rejectedBlock } from '../block-verdict.ts'
import { type BlockKey, type KeyId, keyAnnouncementKey } from '../ids.ts'
import { judgeDataHeader } from '../judge-unsigned.ts'
import { parseKeyAnnouncement } from '../key-announcement.ts'
import type { CmServerContext, SessionUser, StoredNotice } from './context.ts'
import {
  type BlockType,
  type BlockUpload,
  type CmBlocks,
  type PayloadSink,
  RECORD_SEPARATORS,
  SMALL_PAYLOAD_BYTES,
  type StoreOutcome,
} from './port.ts'
import type { PayloadPlace, ReceivedBlock } from './receive-block.ts'

/** Keys of one claim block that are looked up; a block of one poster speaks for one key. */
const MAX_LOOKED_UP_KEYS = 16

/** Where a block is to go, and who posted it; `from` is a client when it is left out. */
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
  return isStorableHeader(headerText, context) ? context.blocks.beginPayload() : undefined
}

/** As `acceptPayload`, but small payloads are taken in memory. */
export async function acceptBlockPayload(
  headerText: string,
  payloadBytes: number,
  context: CmServerContext,
): Promise<PayloadPlace> {
  if (payloadBytes > SMALL_PAYLOAD_BYTES) return acceptPayload(headerText, context)
  return isStorableHeader(headerText, context) ? 'memory' : undefined
}

/** Also of a date ahead, so that the answer can be FAILED. */
function isStorableHeader(headerText: string, context: CmServerContext): boolean {
  if (blockType(headerText) !== 'data') return false
  const reason = judgeDataHeader(headerText, rulesOf(context))
  return reason === undefined || reason === 'future'
}

/**
 * Judges, merges and stores one block; returns the reply. DONE means "received": what is invalid, old or not for this
 * user is dropped without a word, since a reference client would offer it for ever otherwise (CM wire 7.6). FAILED for
 * what is good but finds no room, or is not good yet, so that the client tries elsewhere or again; but see `refusal`.
 * DONE for a block that is stored is sent after it is durable.
 */
export async function storeBlock(
  received: Exclude<ReceivedBlock, { kind: 'lost' | 'empty' }>,
  target: StoreTarget,
  context: CmServerContext,
): Promise<'DONE' | 'FAILED'> {
  try {
    switch (received.kind) {
      case 'forbidden':
        return refusal(target)
      case 'dropped':
        return 'DONE'
      case 'unstorable':
        throw received.error
      case 'text':
        return await storeText(received.text, target, context)
      case 'large-text':
        return await withLargeText(received.sink, context, async (text) =>
          text === undefined ? 'DONE' : storeText(text, target, context),
        )
      case 'data':
        return await storeData(received, target, context)
      case 'small-data':
        return await storeSmallData(received, target, context)
    }
  } catch (error) {
    context.log.error({ cause: error }, 'a block could not be stored')
    return 'FAILED'
  }
}

type Reply = 'DONE' | 'FAILED'

/** Uses a text that lies in a file, in its turn: it is held several times while it is judged. undefined: no UTF-8. */
export async function withLargeText<Result>(
  sink: PayloadSink,
  { largeTexts }: Pick<CmServerContext, 'largeTexts'>,
  use: (text: string | undefined) => Promise<Result>,
): Promise<Result> {
  try {
    return await largeTexts.take(async () => use(decodeBlockText(await readFile(sink.path))))
  } finally {
    await sink.discard()
  }
}

async function storeText(text: string, target: StoreTarget, context: CmServerContext): Promise<Reply> {
  const { blocks, judge } = context
  const { key } = target
  const type = blockType(text)
  if (!mayBeOfPoster(type, target)) return noteRejection(rejectedBlock(type, key, 'user'), target, context)
  const verdict = await judge({
    ...asked(target, rulesOf(context)),
    text,
    publicKeys: type === 'address-claim' ? await knownKeys(text, blocks) : {},
  })
  const upload = uploadOf(verdict, target, context)
  // A data block without payload is no block; only a `Data: n` line leads to one.
  if (upload === undefined || upload.type === 'data') return noteRejection(verdict, target, context)
  return noteOutcome(await blocks.store(upload), { upload, target }, context)
}

/**
 * False for a signed block that nobody who is logged in as this user can post (CM wire 9.2): a stranger's key, which
 * may be made to take its time, is not even read (S9).
 */
function mayBeOfPoster(type: BlockType | undefined, { key, user }: StoreTarget): boolean {
  const keyId = user?.keyId
  switch (type) {
    case 'key-announcement':
      return keyId !== undefined && keyAnnouncementKey(keyId) === key
    case 'address-claim':
      return keyId !== undefined
    default:
      return true
  }
}

async function storeSmallData(
  { headerText, payload, sha1 }: Extract<ReceivedBlock, { kind: 'small-data' }>,
  target: StoreTarget,
  context: CmServerContext,
): Promise<Reply> {
  // The cheap test first: everything else runs over the whole payload (CM wire S9).
  if (sha1 !== target.key) return 'DONE'
  const given = { ...asked(target, rulesOf(context)), publicKeys: {} }
  const verdict = await context.judge({ ...given, text: headerText, payload })
  const upload = uploadOf(verdict, target, context)
  if (upload === undefined) return noteRejection(verdict, target, context)
  return noteOutcome(await context.blocks.store({ ...upload, payload }), { upload, target }, context)
}

async function storeData(
  { headerText, sink, sha1 }: Extract<ReceivedBlock, { kind: 'data' }>,
  target: StoreTarget,
  context: CmServerContext,
): Promise<Reply> {
  let outcome: StoreOutcome | undefined
  try {
    if (sha1 !== target.key) return 'DONE'
    const given = { ...asked(target, rulesOf(context)), publicKeys: {} }
    const verdict = await context.judge({ ...given, text: headerText, payloadPath: sink.path })
    const upload = uploadOf(verdict, target, context)
    if (upload === undefined) return noteRejection(verdict, target, context)
    outcome = await sink.commit(upload)
    return noteOutcome(outcome, { upload, target }, context)
  } finally {
    if (outcome === undefined) await sink.discard()
  }
}

/** What the store is given of an accepted block: its good records; undefined for a block that was refused. */
function uploadOf(
  { reason, type, records }: BlockVerdict,
  { key, user, from }: StoreTarget,
  { relay }: CmServerContext,
): BlockUpload | undefined {
  if (reason !== undefined || type === undefined) return undefined
  const good = records.flatMap((record) =>
    record.reason === undefined && record.dateMs !== undefined
      ? { identity: record.identity, dateMs: record.dateMs, text: record.text }
      : [],
  )
  // What another server handed on is not handed on again (CM wire 9.3).
  const replicateFor = from !== 'replica' && relay?.hasPeer === true ? (user?.userId ?? 'none') : undefined
  return { type, key, records: good, replicateFor }
}

function rulesOf(context: CmServerContext): BlockRules {
  return { network: 'server', nowMs: context.clock.now(), maxAges: context.maxAges }
}

function asked({ key, user }: StoreTarget, rules: BlockRules) {
  return { key, poster: user?.keyId ?? ('none' as const), rules }
}

/** Certificates of claimants whose announcement lies here, so that their claims are verified (CM wire S7). */
async function knownKeys(text: string, blocks: CmBlocks): Promise<Record<KeyId, string>> {
  const claimants = (parseAddressClaims(text) ?? []).map((record) =>
    record.kind === 'signed' ? record.claim.keyId : undefined,
  )
  const known: Record<KeyId, string> = {}
  for (const keyId of [...new Set(claimants)].slice(0, MAX_LOOKED_UP_KEYS)) {
    if (keyId === undefined) continue
    const found = await blocks.find(keyAnnouncementKey(keyId), { type: 'key-announcement' })
    for await (const announcement of found?.records() ?? []) {
      const parsed = parseKeyAnnouncement(announcement)
      if (parsed.kind === 'ok') known[keyId] = parsed.announcement.keyBlock
    }
  }
  return known
}

function noteOutcome(
  outcome: StoreOutcome,
  { upload, target }: { readonly upload: BlockUpload; readonly target: StoreTarget },
  context: CmServerContext,
): Reply {
  const { type, key } = upload
  if (outcome.kind === 'full') {
    context.log.debug({ key, type }, 'a block was not stored: its slot is full')
    return refusal(target)
  }
  if (outcome.kind === 'stored') {
    const added = RECORD_SEPARATORS[type] === '' ? [] : outcome.added
    context.onStored?.({ type, key, from: target.from ?? 'client', added })
  }
  return 'DONE'
}

/**
 * FAILED, so that a client tries elsewhere. A reference server that replicates to us would offer the block for ever and
 * nothing behind it, and takes blocks from anybody that we do not: one of them must not end the replication (CM wire 9.4).
 */
function refusal({ from }: StoreTarget): Reply {
  return from === 'replica' ? 'DONE' : 'FAILED'
}

/**
 * A date ahead of our clock becomes good with time, and the clock that is wrong may be ours, as on a machine that starts
 * without a network: the block is to be offered again (CM wire S11).
 */
function noteRejection(verdict: BlockVerdict, target: StoreTarget, { log }: CmServerContext): Reply {
  const { type, reason = 'type' } = verdict
  log.debug({ key: target.key, type, reason }, 'a block was not stored')
  return reason === 'future' ? refusal(target) : 'DONE'
}

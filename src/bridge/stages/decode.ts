import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { duration } from '../../base/clock.ts'
import type { Secret } from '../../base/secret.ts'
import { acknowledgmentProofInput, encodeAcknowledgment } from '../../cm/acknowledgment.ts'
import { acknowledgmentId, type BlockKey } from '../../cm/ids.ts'
import { parseKeyAnnouncement } from '../../cm/key-announcement.ts'
import type { MessageOwner, OpenOutcome } from '../../cm/message/decode-message.ts'
import { type MessageAnnouncement, parseMessageAnnouncements } from '../../cm/message-announcement.ts'
import { PROOF_OF_WORK_FLOORS } from '../../cm/proof-of-work.ts'
import { encodeTransport } from '../../cm/transport.ts'
import { formatUtcTime } from '../../cm/utc-time.ts'
import { type Account, loadSecretKeys } from '../../store/account-queries.ts'
import { DiskFullError } from '../../store/errors.ts'
import type { AcknowledgmentPost, InboundEnd } from '../../store/inbound-operations.ts'
import { type InboundMessage, inboundMessage } from '../../store/inbound-queries.ts'
import type { NoticeDraft } from '../../store/report-operations.ts'
import { type BridgeContext, removeDirectory, requireAccount } from '../bridge-context.ts'
import { mustWaitForOthers, readSyncedRecords, type SyncedRecords } from '../folder-sync.ts'
import { inboundBlockPath, inboundDirectory } from '../inbound-files.ts'
import { collisionNotices, unreadableNotice } from '../inbound-notices.ts'
import { type JudgedInbound, judgeInbound } from '../judge-inbound.ts'
import { renderInbound } from '../render-inbound.ts'
import { keepContainer } from '../signed-forward.ts'
import { renderSentCopies } from '../synced-sent.ts'
import type { Stage, StageContext, StageOutcome } from '../worker.ts'

/** How long a message waits for its sender's key before it is shown as unverified: its body cannot change later (design 8.4). */
const HOLD_MS = 10 * duration.minute
/** Tries that throw are our fault or the message's: after this it is the message's. */
const GIVE_UP_AFTER_MS = 3 * duration.day
/** The largest message on a slow machine; a stuck thread is ended after this. */
const OPEN_TIME_MS = duration.hour
const ASK_AGAIN_MS = 30 * duration.second

/** Ciphertext → message in its mailbox: decrypt, find the sender's key, judge, render, store, acknowledge (design 8.3–8.8). */
export function createDecodeStage(context: BridgeContext): Stage {
  return async (stage) => {
    const inboundId = Number(stage.lease.row.slice(2))
    const message = inboundMessage(context.store.read, inboundId)
    if (message === undefined) return { kind: 'lease-lost' }
    const workDir = join(inboundDirectory(context, inboundId), 'work')
    await removeDirectory(workDir)
    await mkdir(workDir, { recursive: true, mode: 0o700 })
    try {
      const account = requireAccount(context, stage.accountId)
      const secretKeys = loadSecretKeys(context.store.read, stage.accountId)
      if (secretKeys.length === 0) throw new Error('the account has no secret key')
      return await decodeOrGiveUp({ context, stage, message, account, secretKeys, workDir })
    } finally {
      await removeDirectory(workDir)
    }
  }
}

/**
 * Opens and delivers a small message that is not on the disk yet. Undefined when it cannot end here: it is to wait, is to
 * be put aside, or something went wrong that the decode stage will meet again and say.
 */
export async function decodeAtOnce(
  context: BridgeContext,
  stage: StageContext,
  { message, ciphertext }: { readonly message: InboundMessage; readonly ciphertext: Uint8Array },
): Promise<StageOutcome | undefined> {
  const account = requireAccount(context, stage.accountId)
  const secretKeys = loadSecretKeys(context.store.read, stage.accountId)
  const workDir = join(inboundDirectory(context, message.id), 'work')
  const decoding = { context, stage, message, account, secretKeys, workDir }
  try {
    const opened = await context.pool.run(
      'openInMemory',
      { ciphertext, messageHash: announcementOf(message).messageHash, owner: ownerOf(decoding) },
      { signal: stage.signal },
    )
    if (opened?.kind !== 'opened') return undefined
    const judged = await judgeInbound(context, { message, account, opened })
    if (judged.kind === 'sender-unknown' || waitMs(context, judged.heldUntilMs) > 0) return undefined
    if (judged.judged.disposition.place === 'hidden') return undefined
    return await deliver(decoding, judged.judged)
  } catch (cause) {
    if (stage.signal.aborted) throw cause
    context.log.debug({ row: stage.lease.row, cause }, 'a message could not be opened at once')
    return undefined
  }
}

function waitMs({ clock }: BridgeContext, heldUntilMs: number | undefined): number {
  return heldUntilMs === undefined ? 0 : heldUntilMs - clock.now()
}

interface Decoding {
  readonly context: BridgeContext
  readonly stage: StageContext
  readonly message: InboundMessage
  readonly account: Account
  readonly secretKeys: readonly Secret<string>[]
  readonly workDir: string
}

/** A message that made every try fail for days would never be seen: it is put aside, and its owner is told. */
async function decodeOrGiveUp(decoding: Decoding): ReturnType<Stage> {
  const { context, stage, message } = decoding
  try {
    return await decode(decoding)
  } catch (cause) {
    const isEarly = context.clock.now() - message.seenMs < GIVE_UP_AFTER_MS
    if (isEarly || stage.signal.aborted || cause instanceof DiskFullError) throw cause
    context.log.error({ row: stage.lease.row, cause }, 'a message could not be opened, given up')
    return quarantine(decoding, 'opening it failed again and again')
  }
}

async function decode(decoding: Decoding): ReturnType<Stage> {
  const { context, message } = decoding
  const opened = await openMessage(decoding)
  if (opened.kind === 'damaged-blocks') return refetch(decoding, opened.keys)
  if (opened.kind === 'unreadable') return quarantine(decoding, opened.reason)
  const judged = await judgeInbound(context, { message, account: decoding.account, opened })
  if (judged.kind === 'sender-unknown') {
    const holdUntilMs = message.holdUntilMs ?? context.clock.now() + HOLD_MS
    if (context.clock.now() < holdUntilMs) {
      await context.store.write('holdInbound', { inboundId: message.id, holdUntilMs })
      return { kind: 'retry', reason: judged.reason, delayMs: ASK_AGAIN_MS }
    }
  } else {
    const delayMs = waitMs(context, judged.heldUntilMs)
    if (delayMs > 0) return { kind: 'retry', reason: 'signed ahead of our clock', delayMs }
  }
  return deliver(decoding, judged.judged)
}

/** What the disk lost or spoiled is at the server still. */
async function refetch({ context, stage, message }: Decoding, keys: readonly BlockKey[]): ReturnType<Stage> {
  const { lease, accountId } = stage
  const given = { lease, accountId, inboundId: message.id, keys, delayMs: ASK_AGAIN_MS }
  const due = await context.store.write('refetchBlocks', given)
  return due.length === 0 ? { kind: 'lease-lost' } : { kind: 'moved', due }
}

type DamagedBlocks = { readonly kind: 'damaged-blocks'; readonly keys: readonly BlockKey[] }

async function openMessage(decoding: Decoding): Promise<OpenOutcome | DamagedBlocks> {
  const { context, stage, message, workDir } = decoding
  const { messageHash } = announcementOf(message)
  const ciphertextPath = join(workDir, 'message.pgp')
  const files = message.blocks.map(({ key, position }) => ({
    key,
    path: inboundBlockPath(context, message.id, position),
  }))
  const missing = files.filter(({ path }) => !existsSync(path))
  if (missing.length > 0) return { kind: 'damaged-blocks', keys: missing.map(({ key }) => key) }
  const options = { timeLimitMs: OPEN_TIME_MS, signal: stage.signal }
  const joined = await context.pool.run(
    'reassembleCiphertext',
    { blocks: files, messageHash, outputPath: ciphertextPath },
    options,
  )
  if (joined.kind === 'damaged-block') return { kind: 'damaged-blocks', keys: [joined.key] }
  if (joined.kind === 'failed') return { kind: 'unreadable', reason: joined.reason }
  const owner = ownerOf(decoding)
  return context.pool.run('openCiphertext', { ciphertextPath, workDir, owner }, options)
}

function ownerOf({ account, secretKeys }: Decoding): MessageOwner {
  return { keyId: account.keyId, secretKeys: secretKeys.map((key) => key.reveal()) }
}

function announcementOf(message: InboundMessage): MessageAnnouncement {
  const parsed = parseMessageAnnouncements(message.record)
  const announcement = parsed.kind === 'ok' ? parsed.records[0]?.announcement : undefined
  if (announcement === undefined) throw new Error('a stored announcement cannot be read')
  return announcement
}

/** What cannot be read is kept and told; it is never deleted (design 8.3). The block files stay where they are. */
async function quarantine(decoding: Decoding, reason: string): ReturnType<Stage> {
  const { message } = decoding
  const notice = await unreadableNotice(decoding.context, { account: decoding.account, message, reason })
  return finish(decoding, { end: { kind: 'quarantine' }, reason, judged: undefined, notices: [notice] })
}

async function deliver(decoding: Decoding, judged: JudgedInbound): ReturnType<Stage> {
  const { context, account, message } = decoding
  const { disposition } = judged
  if (disposition.place === 'hidden') return hide(decoding, judged)
  const rendered = await renderInbound(context, { account, message, judged, workDir: decoding.workDir })
  const container = await keepContainer(context, account, judged)
  try {
    const end: InboundEnd = {
      kind: 'deliver',
      mailboxName: disposition.place === 'junk' ? 'Junk' : 'INBOX',
      message: rendered.draft,
      flags: rendered.flags,
      container: container?.blob,
      acknowledgment: await acknowledgmentOf(decoding, judged),
      messageUniqueId: judged.opened.header.messageUniqueId ?? null,
      messageId: rendered.messageId,
    }
    const notices = await collisionNotices(context, account, judged)
    return await finish(decoding, { end, reason: disposition.reason, judged, notices })
  } finally {
    await rendered.discard()
    await container?.discard()
  }
}

/** What a reference client of the same account tells the others is never shown (CM message 7.4). */
async function hide(decoding: Decoding, judged: JudgedInbound): ReturnType<Stage> {
  const { context, account, message } = decoding
  const { appliesFolderSync } = account.network
  if (appliesFolderSync && mustWaitForOthers(context, message)) {
    return { kind: 'retry', reason: 'mail announced before it comes first', delayMs: ASK_AGAIN_MS }
  }
  const { opened } = judged
  const { changes, sentIds } = appliesFolderSync
    ? await readSyncedRecords(context, message, opened)
    : NOTHING_SYNCED
  const sent = await renderSentCopies(context, { account, opened, sentIds, arrivedMs: message.seenMs })
  try {
    const acknowledgment = await acknowledgmentOf(decoding, judged)
    const end: InboundEnd = { kind: 'hide', acknowledgment, changes, sentCopies: sent.copies }
    return await finish(decoding, { end, reason: judged.disposition.reason, judged, notices: [] })
  } finally {
    await sent.discard()
  }
}

const NOTHING_SYNCED: SyncedRecords = { changes: [], sentIds: [] }

interface Finish {
  readonly end: InboundEnd
  readonly reason: string
  readonly judged: JudgedInbound | undefined
  readonly notices: readonly NoticeDraft[]
}

async function finish(decoding: Decoding, given: Finish): ReturnType<Stage> {
  const { context, stage, message } = decoding
  const { judged } = given
  const isGood = judged?.verdict.signature === 'good'
  const outcome = await context.store.write('finishInbound', {
    lease: stage.lease,
    accountId: stage.accountId,
    inboundId: message.id,
    end: given.end,
    reason: given.reason,
    fingerprint: judged?.fingerprint ?? null,
    contacts: judged?.contacts ?? [],
    pin: isGood ? (judged.verdict.signer ?? null) : null,
    notices: given.notices,
    ...(judged === undefined ? {} : tokensOf(decoding, judged)),
  })
  if (outcome.kind === 'lease-lost') return outcome
  if (given.end.kind !== 'quarantine') await removeDirectory(inboundDirectory(context, message.id))
  return { kind: 'moved', due: outcome.due }
}

/** What the message says of bypass tokens: one for us, or one of ours that we have lost (CM wire 6). */
function tokensOf({ message, account }: Decoding, judged: JudgedInbound) {
  const { signature, signer } = judged.verdict
  if (signature !== 'good' || signer === undefined) return {}
  const grant = judged.disposition.acknowledge ? judged.bypassGrant?.reveal() : undefined
  const isUnknown = account.network.usesBypassTokens && !message.hasEnoughWork
  return {
    bypassSecret:
      grant === undefined
        ? undefined
        : {
            ...grant,
            direction: 'received' as const,
            keyId: signer,
            secret: Buffer.from(grant.secret, 'hex'),
          },
    unknownTokenFrom: isUnknown && announcementOf(message).bypassToken !== undefined ? signer : undefined,
  }
}

/** The acknowledgment, to the servers of the sender's own announcement: a transport inside the message is only a hint. */
async function acknowledgmentOf(
  { context, stage }: Decoding,
  judged: JudgedInbound,
): Promise<AcknowledgmentPost | null> {
  const secret = judged.acknowledgmentSecret?.reveal()
  if (!judged.disposition.acknowledge || secret === undefined || judged.sender === undefined) return null
  const parsed = parseKeyAnnouncement(judged.sender.announcement)
  if (parsed.kind !== 'ok' || parsed.announcement.transport === undefined) return null
  const date = formatUtcTime(context.clock.now())
  const secretHex = Buffer.from(secret).toString('hex')
  const proofOfWork = await context.solver.solve({
    ...PROOF_OF_WORK_FLOORS.server.acknowledgment,
    data: acknowledgmentProofInput({ date, secret: secretHex }),
    signal: stage.signal,
  })
  return {
    key: acknowledgmentId(secret) as string as BlockKey,
    text: encodeAcknowledgment({ date, proofOfWork, secret }),
    target: encodeTransport(parsed.announcement.transport),
  }
}

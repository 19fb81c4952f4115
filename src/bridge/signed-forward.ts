import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { duration } from '../base/clock.ts'
import type { AnnouncementId, KeyId } from '../cm/ids.ts'
import { sourceChunks } from '../cm/message/byte-source.ts'
import type { OpenedMessage } from '../cm/message/decode-message.ts'
import type { ForwardedContent } from '../cm/message/encode-message.ts'
import { firstValue, splitHeader } from '../mail/header.ts'
import { messageIdOf } from '../mail/message-id.ts'
import type { BodyPart } from '../mail/message-index.ts'
import type { AccountId } from '../store/ids.ts'
import { signedContainerBlob } from '../store/inbound-queries.ts'
import type { Store } from '../store/open-store.ts'
import type { SpooledMessage } from '../store/spool.ts'
import type { BridgeContext } from './bridge-context.ts'
import type { JudgedInbound } from './judge-inbound.ts'
import type { MessageSource } from './mime/spool-parts.ts'
import { MAX_FORWARD_DEPTH } from './render/render-message.ts'

/**
 * Passing on a message with its sender's own signature (CM message 6, decision 0008): the container of a message that
 * verified is kept, and put into one that forwards it as an attachment, when its owner asks for that.
 */

/** Octets of a container that is kept; larger mail is forwarded without its signature. */
const MAX_KEPT_CONTAINER_BYTES = 1024 * 1024
/** Octets of an attached message's header that are read. */
const MAX_HEADER_BYTES = 64 * 1024
const OPEN_TIME_MS = duration.hour

type Opening = Pick<BridgeContext, 'pool'>

/**
 * The container of a message that verified, to be stored with it; undefined for any other, for large ones, and for those
 * that name blind copies. Discard it after the row is written or given up.
 */
export async function keepContainer(
  context: Pick<BridgeContext, 'store'>,
  account: Owner,
  judged: JudgedInbound,
): Promise<SpooledMessage | undefined> {
  const { zip } = judged.opened
  if (judged.disposition.reason !== 'verified' || namesBlindCopies(judged.opened, account.keyId))
    return undefined
  const size = 'path' in zip ? (await stat(zip.path)).size : zip.bytes.length
  if (size > MAX_KEPT_CONTAINER_BYTES) return undefined
  const sink = await context.store.beginSpool(account.id, size)
  try {
    for await (const bytes of sourceChunks(zip, { start: 0 })) await sink.write(bytes)
    return await sink.finish()
  } catch (error) {
    await sink.discard()
    throw error
  }
}

/** Whose messages these are. */
interface Owner {
  readonly id: AccountId
  readonly keyId: KeyId
}

/** The original to embed, and the part of the message that it stands for. */
export interface SignedForward {
  readonly content: ForwardedContent
  readonly part: BodyPart
}

interface Given {
  readonly account: Owner
  readonly source: MessageSource
  /** To be made; holds what the result refers to. */
  readonly workDirectory: string
}

/** True when a message is to go with its original's signature: `X-CM-Forward: signed`. */
function isSignedForward({ index }: MessageSource): boolean {
  const wish = firstValue(splitHeader(index.headerBytes), 'x-cm-forward')
  return wish?.trim().toLowerCase() === 'signed'
}

/** For the submitter, one line: why the message cannot be forwarded as it asks; undefined when it can, or does not ask. */
export async function signedForwardProblem(
  store: Pick<Store, 'read'>,
  accountId: AccountId,
  source: MessageSource,
): Promise<string | undefined> {
  if (!isSignedForward(source) || (await findKept(store, accountId, source)) !== undefined) return undefined
  return (
    'no attached message is kept here with its signature: it did not verify, is too large, tells of blind copies, ' +
    'or came from elsewhere. Take the field X-CM-Forward out and send again'
  )
}

/**
 * The signed original of the message that is attached; undefined when it is not asked for, is not kept any more, or holds
 * another that would tell of blind copies: then the attachment goes like all others.
 */
export async function findSignedForward(
  context: Pick<BridgeContext, 'store' | 'pool' | 'log'>,
  given: Given,
): Promise<SignedForward | undefined> {
  if (!isSignedForward(given.source)) return undefined
  const kept = await findKept(context.store, given.account.id, given.source)
  const bytes = kept === undefined ? undefined : context.store.readBlob(kept.blobId)
  if (kept === undefined || bytes === undefined) {
    context.log.info({}, 'a message to be forwarded with its signature is not kept any more')
    return undefined
  }
  await mkdir(given.workDirectory, { recursive: true, mode: 0o700 })
  const containerPath = join(given.workDirectory, 'forwarded.bin')
  await pipeline(bytes, createWriteStream(containerPath, { mode: 0o600 }))
  const content = await toContent(context, { ...given, attached: kept, containerPath })
  return content === undefined ? undefined : { content, part: kept.part }
}

/** An attached message as its header says. */
interface Attached {
  readonly id: AnnouncementId
  /** Its Message-ID. */
  readonly messageId: string | null
}

interface Kept extends Attached {
  readonly part: BodyPart
  readonly blobId: Uint8Array
}

/** The first attached message whose container is here. */
async function findKept(
  store: Pick<Store, 'read'>,
  accountId: AccountId,
  source: MessageSource,
): Promise<Kept | undefined> {
  for (const part of attachedMessages(source.index.structure)) {
    const attached = await readAttached(source, part)
    const blobId = attached && signedContainerBlob(store.read, accountId, attached.id)
    if (attached !== undefined && blobId !== undefined) return { ...attached, part, blobId }
  }
  return undefined
}

/** Attached as a whole, not the ones inside those. */
function attachedMessages(part: BodyPart): BodyPart[] {
  if (part.kind === 'message') return [part]
  return part.kind === 'multipart' ? part.parts.flatMap(attachedMessages) : []
}

/** Reads `X-CM-Message-Id` of an attached message, the announcement id we gave it. */
async function readAttached(source: MessageSource, part: BodyPart): Promise<Attached | undefined> {
  if (part.kind !== 'message') return undefined
  const { start, end } = part.message.header
  const pieces: Uint8Array[] = []
  const range = { start, end: Math.min(end, start + MAX_HEADER_BYTES) }
  for await (const piece of source.openRange(range)) pieces.push(piece)
  const fields = splitHeader(Buffer.concat(pieces))
  const id = firstValue(fields, 'x-cm-message-id')?.trim().toLowerCase()
  if (id === undefined || !/^[0-9a-f]{40}$/.test(id)) return undefined
  return { id: id as AnnouncementId, messageId: messageIdOf(firstValue(fields, 'message-id') ?? null) }
}

async function toContent(
  context: Opening & Pick<BridgeContext, 'log'>,
  {
    account,
    workDirectory,
    attached,
    containerPath,
  }: Given & { readonly attached: Attached; readonly containerPath: string },
): Promise<ForwardedContent | undefined> {
  const { id } = attached
  const opened = await context.pool.run('openContainer', { containerPath }, { timeLimitMs: OPEN_TIME_MS })
  if (opened.kind !== 'opened') return undefined
  if (!isOf(opened, attached)) {
    context.log.warn({ announcementId: id }, 'an attached message says that it is another one')
    return undefined
  }
  if (await tellsOfOthers(context, { opened, owner: account.keyId, workDirectory })) {
    context.log.info({ announcementId: id }, 'a message with blind copies is forwarded without its signature')
    return undefined
  }
  const path = join(workDirectory, 'forwarded.zip')
  await pipeline(
    createReadStream(containerPath, { start: opened.zip.start }),
    createWriteStream(path, { mode: 0o600 }),
  )
  return { id, zip: { path, size: (await stat(path)).size }, signature: opened.signature }
}

/**
 * Announcement ids are known at servers, and anybody can write one into a message they send us: with it they would have
 * us pass on another message than the one that is seen. MessageUniqueId is known to those alone who can read it.
 */
function isOf({ header }: OpenedMessage, { messageId }: Attached): boolean {
  const { messageUniqueId } = header
  return messageUniqueId !== undefined && messageId === `<${messageUniqueId}@cm.invalid>`
}

function namesBlindCopies({ header }: OpenedMessage, owner: KeyId): boolean {
  return header.recipients.some(({ type, keyId }) => type === 'bcc' && keyId !== owner)
}

interface Level {
  readonly opened: OpenedMessage
  readonly owner: KeyId
  readonly workDirectory: string
}

/**
 * True when the header, or that of an original inside, names a blind copy of somebody else, or cannot be looked through
 * (CM message 14.17). What else lies in it is harmless: our own acknowledgment was posted, a token is encrypted to us.
 */
async function tellsOfOthers(context: Opening, level: Level, depth = 1): Promise<boolean> {
  const { opened, owner, workDirectory } = level
  const { header, zip, forwardedOriginal } = opened
  if (namesBlindCopies(opened, owner)) return true
  if (header.forwardedMessageId === undefined) return false
  const containerPath = join(workDirectory, `forwarded-inside-${depth}.bin`)
  const inside =
    depth > MAX_FORWARD_DEPTH
      ? undefined
      : await context.pool.run(
          'openForwardedOriginal',
          { opened: { zip, forwardedOriginal }, containerPath },
          { timeLimitMs: OPEN_TIME_MS },
        )
  return inside?.kind !== 'opened' || tellsOfOthers(context, { ...level, opened: inside }, depth + 1)
}

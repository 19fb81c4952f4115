import { randomUUID } from 'node:crypto'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { duration } from '../../base/clock.ts'
import type { KeyId } from '../../cm/ids.ts'
import { parseKeyAnnouncement } from '../../cm/key-announcement.ts'
import type { BypassGrant } from '../../cm/message/ack-file.ts'
import {
  type DisplayRecipient,
  type EncodedMessage,
  encodeMessage,
  type ForwardedContent,
  type MessageRecipient,
} from '../../cm/message/encode-message.ts'
import { encodeTransport } from '../../cm/transport.ts'
import { indexMessage } from '../../mail/index-message.ts'
import type { Account } from '../../store/account-queries.ts'
import { contactByKeyId } from '../../store/contact-queries.ts'
import { uniqueIdOfMessageId } from '../../store/inbound-queries.ts'
import type { EncodedCopy, RecipientResolution } from '../../store/outbound-operations.ts'
import {
  type OutboundMessage,
  type OutboundRecipient,
  outboundMessage,
  outboundRecipients,
} from '../../store/outbound-queries.ts'
import { syncPath } from '../../store/sync-path.ts'
import {
  type BridgeContext,
  OUTBOUND_WORK_PREFIX,
  ownTransport,
  removeDirectory,
  requireAccount,
  requireSecretKey,
} from '../bridge-context.ts'
import { chooseReceivedSecret, issueBypassGrants } from '../bypass-tokens.ts'
import { encodeBlocks, type RecipientDemand } from '../encode-blocks.ts'
import { headerOnlyRecipients } from '../header-recipients.ts'
import { convertMimeToCm, type OutgoingContent } from '../mime/mime-to-cm.ts'
import { reportDelay } from '../report-delay.ts'
import { GIVE_UP_AFTER_MS } from '../retry-delay.ts'
import { findSignedForward } from '../signed-forward.ts'
import type { Stage, StageContext } from '../worker.ts'

/** The largest message takes minutes to sign and encrypt on a slow machine; a stuck thread is ended after this. */
const BUILD_TIME_MS = duration.hour

/** Below the work directory; parts of the message get other names. */
const FORWARD_DIRECTORY = 'forward'

/** A recipient with what its key announcement says. */
interface ReadyRecipient {
  readonly recipient: OutboundRecipient
  readonly keyId: KeyId
  readonly userId: string
  readonly certificate: string
  /** `BypassTokenAccepted` of its announcement; undefined: it takes no tokens. */
  readonly accepted: string | undefined
  readonly demand: RecipientDemand
}

/**
 * Makes the ciphertexts of everybody who is resolved and has none yet: one shared by To and Cc, one for each Bcc, so that
 * nothing of a Bcc stands in anybody else's message (design 7.6). All become visible in one commit.
 */
export function createEncodeStage(context: BridgeContext): Stage {
  return async (stage) => {
    const outboundId = Number(stage.lease.row.slice(2))
    const message = outboundMessage(context.store.read, outboundId)
    if (message === undefined) return { kind: 'lease-lost' }
    const workDirectory = join(context.directories.outbound, `${OUTBOUND_WORK_PREFIX}${randomUUID()}`)
    await mkdir(workDirectory, { mode: 0o700 })
    const kept: string[] = []
    try {
      const { copies, failures } = await encodeOrGiveUp({ context, stage, message, workDirectory, kept })
      const outcome = await context.store.write('finishEncode', {
        lease: stage.lease,
        outboundId,
        copies,
        failures,
      })
      return outcome.kind === 'ok' ? { kind: 'moved', due: outcome.due } : outcome
    } finally {
      // Needed by rows now, or by nobody.
      for (const file of kept) context.freshCiphertexts.delete(file)
      await removeDirectory(workDirectory)
    }
  }
}

interface Encoding {
  readonly context: BridgeContext
  readonly stage: StageContext
  readonly message: OutboundMessage
  readonly workDirectory: string
  /** Names of the ciphertexts made so far. */
  readonly kept: string[]
}

interface Encoded {
  readonly copies: EncodedCopy[]
  readonly failures: RecipientResolution[]
}

/** What cannot be encoded for three days never will be: its sender is told (design 7.9). */
async function encodeOrGiveUp(encoding: Encoding): Promise<Encoded> {
  const { context, stage, message } = encoding
  try {
    return await encodeAll(encoding)
  } catch (cause) {
    if (stage.signal.aborted) throw cause
    await reportDelay(context, message)
    if (context.clock.now() - message.dueMs < GIVE_UP_AFTER_MS) throw cause
    context.log.error({ row: stage.lease.row, cause }, 'a message could not be encoded, given up')
    const failures = waitingRecipients(context, message.id).map(({ id, address }) => ({
      recipientId: id,
      kind: 'failed' as const,
      statusCode: '5.0.0',
      diagnostic: `${address}: the message could not be encrypted`,
    }))
    return { copies: [], failures }
  }
}

function waitingRecipients(context: BridgeContext, outboundId: number): OutboundRecipient[] {
  return outboundRecipients(context.store.read, outboundId).filter(
    ({ state, copyId }) => state === 'resolved' && copyId === null,
  )
}

async function encodeAll(encoding: Encoding): Promise<Encoded> {
  const { context, message, workDirectory } = encoding
  const all = outboundRecipients(context.store.read, message.id)
  const failures: RecipientResolution[] = []
  const ready: ReadyRecipient[] = []
  for (const recipient of waitingRecipients(context, message.id)) {
    const read = await readUsable(context, message, recipient)
    if ('kind' in read) failures.push(read)
    else ready.push(read)
  }
  if (ready.length === 0) return { copies: [], failures }
  const index = await indexMessage(readOriginal(encoding))
  const openRange = (range: { readonly start: number; readonly end: number }) => readOriginal(encoding, range)
  const source = { index, openRange }
  const account = requireAccount(context, message.accountId)
  const forward = await findSignedForward(context, {
    account,
    source,
    workDirectory: join(workDirectory, FORWARD_DIRECTORY),
  })
  const content = await convertMimeToCm(source, workDirectory, forward?.part)
  const { accountId } = message
  const { headerBytes } = index
  const display = [
    ...displayRecipients(context, message, all),
    ...headerOnlyRecipients({ read: context.store.read, accountId, headerBytes, envelope: all }),
  ]
  const copies: EncodedCopy[] = []
  for (const group of groupCopies(ready)) {
    copies.push(
      await encodeCopy({ ...encoding, account, content, forwarded: forward?.content, display, group }),
    )
  }
  return { copies, failures }
}

/** One key twice in the envelope (two of its addresses) is one recipient of a ciphertext; the second shares the first's copy. */
function groupCopies(ready: readonly ReadyRecipient[]): ReadyRecipient[][] {
  const shared = ready.filter(({ recipient }) => recipient.field !== 'bcc')
  const alone = ready.filter(({ recipient }) => recipient.field === 'bcc').map((one) => [one])
  return shared.length > 0 ? [shared, ...alone] : alone
}

function readOriginal(
  { context, message }: Encoding,
  range?: { readonly start: number; readonly end: number },
): AsyncIterable<Uint8Array> {
  const bytes = context.store.readBlob(message.blobId, range)
  if (bytes === undefined) throw new Error('the bytes of an outbound message are gone')
  return bytes
}

/** A key that cannot be encrypted to today fails its recipient only (design 7.8). */
async function readUsable(
  context: BridgeContext,
  message: OutboundMessage,
  recipient: OutboundRecipient,
): Promise<ReadyRecipient | RecipientResolution> {
  const read = readRecipient(context, message, recipient)
  if ('kind' in read) return read
  const nowMs = context.clock.now()
  const parsed = await context.pool.run('parseCertificate', { input: read.certificate, nowMs })
  if (parsed.kind === 'refused') return unusable(recipient, `its key cannot be used (${parsed.reason})`)
  const { canEncrypt } = parsed.certificate
  return canEncrypt.kind === 'no' ? unusable(recipient, `its key is ${canEncrypt.reason}`) : read
}

function unusable(recipient: OutboundRecipient, diagnostic: string): RecipientResolution {
  return {
    recipientId: recipient.id,
    kind: 'failed',
    statusCode: '5.7.5',
    diagnostic: `${recipient.address}: ${diagnostic}`,
  }
}

function readRecipient(
  context: BridgeContext,
  message: OutboundMessage,
  recipient: OutboundRecipient,
): ReadyRecipient | RecipientResolution {
  const fail = (diagnostic: string) => unusable(recipient, diagnostic)
  const contact =
    recipient.keyId === null
      ? undefined
      : contactByKeyId(context.store.read, message.accountId, recipient.keyId)
  if (contact === undefined) return fail('its key is gone')
  const parsed = parseKeyAnnouncement(contact.announcement)
  if (parsed.kind !== 'ok') return fail(`its key announcement cannot be read (${parsed.reason})`)
  const { announcement } = parsed
  if (announcement.transport === undefined) return fail('its key announcement says no server')
  if (announcement.transport.kind === 'entangled')
    return fail('it is reached over Entangled only, which is not supported yet')
  if (announcement.senderProofOfWork === undefined) return fail('its key announcement says no proof of work')
  return {
    recipient,
    keyId: contact.keyId,
    userId: contact.userId,
    certificate: announcement.keyBlock,
    accepted: announcement.bypassTokenAccepted,
    demand: {
      recipientId: recipient.id,
      keyId: contact.keyId,
      transport: encodeTransport(announcement.transport),
      mailboxPrefixes: announcement.mailboxPrefixes,
      proofOfWork: announcement.senderProofOfWork,
    },
  }
}

/** To and Cc of the envelope, for copies that do not go to them (CM message, trap 2). */
function displayRecipients(
  context: BridgeContext,
  message: OutboundMessage,
  all: readonly OutboundRecipient[],
): DisplayRecipient[] {
  return all.flatMap((recipient) => {
    if (recipient.field === 'bcc' || recipient.state === 'failed') return []
    const read = readRecipient(context, message, recipient)
    if ('kind' in read) return []
    const { keyId, userId, demand } = read
    return [{ type: recipient.field, keyId, text: userId, transport: demand.transport }]
  })
}

interface CopyEncoding extends Encoding {
  readonly account: Account
  readonly content: OutgoingContent
  readonly forwarded: ForwardedContent | undefined
  readonly display: readonly DisplayRecipient[]
  readonly group: readonly ReadyRecipient[]
}

async function encodeCopy(copy: CopyEncoding): Promise<EncodedCopy> {
  const { context, message, content, group, stage } = copy
  const workDir = join(copy.workDirectory, `copy-${group[0]?.recipient.id ?? 0}`)
  await mkdir(workDir, { mode: 0o700 })
  const dateMs = Math.floor(context.clock.now() / 1000) * 1000
  const grants = await issueBypassGrants(context, copy.account, group)
  const demands = group.map((one) => ({
    ...one.demand,
    bypassSecret: chooseReceivedSecret(context, message.accountId, one),
  }))
  const encoded = await encodeMessage(
    {
      workDir,
      sender: {
        keyId: copy.account.keyId,
        text: senderText(copy.account),
        transport: ownTransport(copy.account),
        secretKey: requireSecretKey(context, message.accountId),
      },
      recipients: uniqueKeys(group, grants),
      displayRecipients: copy.display,
      messageUniqueId: message.messageUniqueId,
      replyThreadId: replyThreadId(context, message, content),
      forwarded: copy.forwarded,
      subject: content.subject,
      dateMs,
      bodyText: content.bodyText,
      bodyHtml: content.bodyHtml ?? undefined,
      attachments: content.attachments,
      extraEntries: content.extraEntries,
    },
    context.randomBytes,
    (plan) => context.pool.run('buildMessage', plan, { timeLimitMs: BUILD_TIME_MS, signal: stage.signal }),
  )
  const blocks = await encodeBlocks({
    solver: context.solver,
    encoded,
    dateMs,
    recipients: demands,
    random: context.random,
    signal: stage.signal,
  })
  return { ...copyRow(encoded, demands, await keepCiphertext(copy, encoded)), blocks }
}

function senderText(account: Account): string {
  return account.displayName === '' ? `<${account.address}>` : `${account.displayName} <${account.address}>`
}

function uniqueKeys(
  group: readonly ReadyRecipient[],
  grants: ReadonlyMap<KeyId, BypassGrant>,
): MessageRecipient[] {
  const byKey = new Map(group.map((one) => [one.keyId, one]))
  return [...byKey.values()].map(({ recipient, keyId, userId, certificate, demand }) => ({
    type: recipient.field,
    keyId,
    text: userId,
    certificate,
    transport: demand.transport,
    bypassGrant: grants.get(keyId),
  }))
}

function replyThreadId(
  context: BridgeContext,
  message: OutboundMessage,
  content: OutgoingContent,
): string | undefined {
  for (const id of content.replyToIds) {
    const known = uniqueIdOfMessageId(context.store.read, message.accountId, id)
    if (known !== undefined) return known
  }
  return undefined
}

function copyRow(
  encoded: EncodedMessage,
  demands: readonly RecipientDemand[],
  file: string,
): Omit<EncodedCopy, 'blocks'> {
  const ids = new Map(encoded.recipients.map((one) => [one.keyId, one.acknowledgmentId]))
  return {
    file,
    messageHash: encoded.messageHash,
    announcementId: encoded.announcementId,
    recipients: demands.flatMap(({ recipientId, keyId, bypassSecret }) => {
      const acknowledgmentId = ids.get(keyId)
      if (acknowledgmentId === undefined) return []
      return [{ recipientId, acknowledgmentId, bypassSecretId: bypassSecret?.id }]
    }),
  }
}

/** Moves the ciphertext where posting finds it, durably, before any row speaks of it. */
async function keepCiphertext({ context, kept }: Encoding, encoded: EncodedMessage): Promise<string> {
  const file = `${randomUUID()}.pgp`
  kept.push(file)
  context.freshCiphertexts.add(file)
  await syncPath(encoded.ciphertextPath)
  await rename(encoded.ciphertextPath, join(context.directories.outbound, file))
  await syncPath(context.directories.outbound)
  return file
}

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Secret } from '../../base/secret.ts'
import {
  type AcknowledgmentId,
  type AnnouncementId,
  acknowledgmentId,
  type KeyId,
  type MessageHash,
} from '../ids.ts'
import { parseTransport } from '../transport.ts'
import { ACKNOWLEDGMENT_SECRET_BYTES, ackEntryName, type BypassGrant, encodeAckContent } from './ack-file.ts'
import { safeAttachmentNames } from './attachment-name.ts'
import type { BlockSlice, BlockTarget } from './block-file.ts'
import { type BuiltMessage, buildMessage, type MessagePlan, type SealedEntry } from './build-message.ts'
import { encodeHeaderTxt, headerObjections } from './encode-header-txt.ts'
import type { RecipientType } from './header-txt.ts'
import type { NewZipEntry, ZipContent } from './zip-write.ts'

/**
 * From plain data to one ciphertext and its blocks (CM message, outbound checklist). Everything random is drawn and
 * everything small is decided here; the slow part is `buildMessage`, plain data in and out, for a worker thread.
 */

/** A party whose line stands in HEADER.TXT without getting this ciphertext (CM message, trap 2). */
export interface DisplayRecipient {
  readonly type: 'to' | 'cc'
  readonly keyId: KeyId
  /** The user id shown; cleaned on writing. */
  readonly text: string
  /** The `Transport` of the party's key announcement. */
  readonly transport: string
}

export interface MessageRecipient extends Omit<DisplayRecipient, 'type'> {
  readonly type: RecipientType
  /** Armored public certificate. */
  readonly certificate: string
  /** A token that lets this recipient mail us cheaply; only when its announcement takes tokens (CM message 4.3). */
  readonly bypassGrant?: BypassGrant | undefined
}

interface MessageSender {
  readonly keyId: KeyId
  readonly text: string
  readonly transport: string
  /** Armored, without passphrase. */
  readonly secretKey: Secret<string>
}

type NewAttachment = { readonly name: string } & ZipContent

/** The two halves of the container of a message that is passed on, as they came (CM message 6). */
export interface ForwardedContent {
  /** The announcement id under which we received it. */
  readonly id: AnnouncementId
  readonly zip: ZipContent
  readonly signature: Uint8Array
}

export interface MessageToEncode {
  /** An empty private directory; the ciphertext is made there. */
  readonly workDir: string
  readonly sender: MessageSender
  /** At least one; all on servers or all on Entangled, each key once. */
  readonly recipients: readonly MessageRecipient[]
  readonly displayRecipients?: readonly DisplayRecipient[]
  /** 40 hex, lower case; the same in all copies of a message. */
  readonly messageUniqueId: string
  readonly replyThreadId?: string | undefined
  /** A message that goes along with its own signature (CM message 6). */
  readonly forwarded?: ForwardedContent | undefined
  readonly subject: string
  /** When it is encoded: header, signature and blocks carry this moment. */
  readonly dateMs: number
  readonly bodyText: string
  readonly bodyHtml?: string | undefined
  readonly attachments?: readonly NewAttachment[]
  /** Private entries such as MIME.JSON; other readers ignore names without `_` (CM message 1.5). */
  readonly extraEntries?: readonly NewZipEntry[]
}

interface EncodedRecipient {
  readonly keyId: KeyId
  readonly acknowledgmentId: AcknowledgmentId
  readonly acknowledgmentSecret: Secret<Buffer>
}

export interface EncodedMessage {
  readonly ciphertextPath: string
  readonly ciphertextBytes: number
  readonly blocks: readonly BlockSlice[]
  readonly messageHash: MessageHash
  readonly announcementId: AnnouncementId
  readonly target: BlockTarget
  readonly recipients: readonly EncodedRecipient[]
  readonly headerTxt: Buffer
}

/** What makes a message impossible to encode whatever is tried again; the caller's data is wrong. */
export class EncodeMessageError extends Error {
  override readonly name = 'EncodeMessageError'
}

/** Random bytes from a cryptographic generator (CM message 14.10). */
export type RandomBytes = (count: number) => Uint8Array

/** Runs `buildMessage` where it does no harm to the event loop. */
export type BuildMessage = (plan: MessagePlan) => Promise<BuiltMessage>

const SESSION_KEY_BYTES = 32

/**
 * Makes the ciphertext. Throws `EncodeMessageError` when the data cannot become a message every reader takes; other
 * rejections are the disk's, or a certificate that cannot be encrypted to (check those first, design 7.8).
 */
export async function encodeMessage(
  message: MessageToEncode,
  random: RandomBytes,
  build: BuildMessage = buildMessage,
): Promise<EncodedMessage> {
  checkRecipients(message)
  const recipients = message.recipients.map(({ keyId }) => createAcknowledgment(keyId, random))
  const headerTxt = encodeHeader(message, recipients)
  const plan = createPlan(message, { headerTxt, recipients, random })
  try {
    const built = await build(plan)
    return { ...built, ciphertextPath: plan.ciphertextPath, target: plan.target, recipients, headerTxt }
  } finally {
    await rm(plan.zipPath, { force: true })
  }
}

function checkRecipients(message: MessageToEncode): void {
  const { recipients } = message
  if (recipients.length === 0) throw new EncodeMessageError('no recipient')
  if (new Set(recipients.map(({ keyId }) => keyId)).size < recipients.length) {
    throw new EncodeMessageError('a recipient stands twice')
  }
  const kinds = new Set(recipients.map(({ transport }) => parseTransport(transport)?.kind))
  if (kinds.has(undefined)) throw new EncodeMessageError('a recipient has no usable transport')
  if (kinds.size > 1) throw new EncodeMessageError('server and Entangled recipients in one ciphertext')
}

function createAcknowledgment(keyId: KeyId, random: RandomBytes): EncodedRecipient {
  const secret = Buffer.from(random(ACKNOWLEDGMENT_SECRET_BYTES))
  return { keyId, acknowledgmentId: acknowledgmentId(secret), acknowledgmentSecret: new Secret(secret) }
}

const LINE_ORDER: readonly RecipientType[] = ['to', 'cc', 'bcc']

function encodeHeader(message: MessageToEncode, encoded: readonly EncodedRecipient[]): Buffer {
  const ackIds = new Map(encoded.map(({ keyId, acknowledgmentId: id }) => [keyId, id]))
  const display = (message.displayRecipients ?? []).filter(({ keyId }) => !ackIds.has(keyId))
  const addressed = message.recipients.map((recipient) => {
    const id = ackIds.get(recipient.keyId)
    return id === undefined ? recipient : { ...recipient, acknowledgmentId: id }
  })
  const headerTxt = encodeHeaderTxt({
    ...message,
    forwardedMessageId: message.forwarded?.id,
    targets: LINE_ORDER.flatMap((type) => [...display, ...addressed].filter((party) => party.type === type)),
  })
  const objections = headerObjections(headerTxt)
  if (objections.length > 0) throw new EncodeMessageError(`HEADER.TXT: ${objections.join(', ')}`)
  return headerTxt
}

interface PlanParts {
  readonly headerTxt: Buffer
  readonly recipients: readonly EncodedRecipient[]
  readonly random: RandomBytes
}

function createPlan(message: MessageToEncode, parts: PlanParts): MessagePlan {
  const { random } = parts
  const isEntangled = message.recipients.some(
    ({ transport }) => parseTransport(transport)?.kind === 'entangled',
  )
  const acknowledgments = acknowledgmentEntries(message, parts)
  return {
    zipPath: join(message.workDir, 'message.zip'),
    ciphertextPath: join(message.workDir, 'message.pgp'),
    entries: [
      { name: 'HEADER.TXT', bytes: parts.headerTxt },
      ...bodyEntries(message),
      ...acknowledgments.plain,
      ...(message.extraEntries ?? []).map(checkedExtra),
      ...attachmentEntries(message.attachments ?? []),
      ...forwardedEntries(message.forwarded),
    ],
    sealed: acknowledgments.sealed,
    signingKey: message.sender.secretKey.reveal(),
    certificates: message.recipients.map(({ certificate }) => certificate),
    sessionKey: random(SESSION_KEY_BYTES),
    dateMs: message.dateMs,
    target: isEntangled ? 'entangled' : 'server',
  }
}

function bodyEntries(message: MessageToEncode): NewZipEntry[] {
  const entries: NewZipEntry[] = [{ name: 'BODY.TXT', bytes: encodeText(message.bodyText) }]
  if (message.bodyHtml !== undefined) entries.push({ name: 'BODY.HTML', bytes: encodeText(message.bodyHtml) })
  return entries
}

/** UTF-8 with LF line ends, no NUL and no byte order mark: what the reference's strict readers take (CM message 3.2). */
function encodeText(text: string): Buffer {
  const lines = text
    .toWellFormed()
    .replace(/^\ufeff/, '')
    .replace(/\r\n?/g, '\n')
  return Buffer.from(lines.replaceAll('\0', ''), 'utf8')
}

/** Form A for a single recipient without a token; else the content is encrypted to its recipient (CM message 4.3). */
function acknowledgmentEntries(
  message: MessageToEncode,
  parts: PlanParts,
): { readonly plain: readonly NewZipEntry[]; readonly sealed: readonly SealedEntry[] } {
  const plain: NewZipEntry[] = []
  const sealed: SealedEntry[] = []
  for (const [index, recipient] of message.recipients.entries()) {
    const secret = parts.recipients[index]?.acknowledgmentSecret.reveal() ?? Buffer.alloc(0)
    const content = encodeAckContent(secret, recipient.bypassGrant)
    if (message.recipients.length === 1 && recipient.bypassGrant === undefined) {
      plain.push({ name: ackEntryName(recipient.keyId, 'BIN'), bytes: content })
      continue
    }
    const sessionKey = parts.random(SESSION_KEY_BYTES)
    sealed.push({
      name: ackEntryName(recipient.keyId, 'PGP'),
      content,
      certificate: recipient.certificate,
      sessionKey,
    })
  }
  return { plain, sealed }
}

/**
 * The ZIP entry names that attachments of these names get, in order: `_` and a safe name, all different (CM message
 * 1.5). Feeding the result's names (without `_`) in again gives the same.
 */
function attachmentEntryNames(names: readonly string[]): string[] {
  return safeAttachmentNames(names).map((name) => `_${name}`)
}

function attachmentEntries(attachments: readonly NewAttachment[]): NewZipEntry[] {
  const names = attachmentEntryNames(attachments.map(({ name }) => name))
  return attachments.map((attachment, index) => ({ ...attachment, name: names[index] ?? '_attachment' }))
}

/** Upper case in the names, lower case in the header (CM message 6). */
function forwardedEntries(forwarded: ForwardedContent | undefined): NewZipEntry[] {
  if (forwarded === undefined) return []
  const name = forwarded.id.toUpperCase()
  return [
    { ...forwarded.zip, name: `${name}.ZIP` },
    { name: `${name}.DTS`, bytes: forwarded.signature },
  ]
}

const EXTRA_NAME = /^[A-Z][A-Z0-9._-]{0,63}$/
const RESERVED_NAME = /^(?:HEADER\.TXT|BODY\.(?:TXT|HTML)|ACK_.*)$/

function checkedExtra(entry: NewZipEntry): NewZipEntry {
  if (EXTRA_NAME.test(entry.name) && !RESERVED_NAME.test(entry.name)) return entry
  throw new EncodeMessageError(`an entry cannot be called ${JSON.stringify(entry.name)}`)
}

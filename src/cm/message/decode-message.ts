import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AcknowledgmentId, KeyId, MessageHash } from '../ids.ts'
import { signatureIssuers } from '../openpgp/detached-signatures.ts'
import {
  type AckContent,
  ackEntryName,
  ackIdOf,
  MAX_ACK_BYTES,
  MAX_ACK_FILE_BYTES,
  parseEncryptedAck,
  parseRawAck,
} from './ack-file.ts'
import { safeAttachmentNames } from './attachment-name.ts'
import { MAX_CIPHERTEXT_BYTES, type ReassemblyFault } from './block-file.ts'
import { type ByteSource, MAX_IN_MEMORY_BYTES, sourceChunks } from './byte-source.ts'
import { type ContainerFault, readContainer } from './container.ts'
import { type DecryptFault, decryptBytes, decryptFile } from './crypto-files.ts'
import {
  type HeaderFault,
  type HeaderWarning,
  MAX_HEADER_TXT_BYTES,
  type MessageHeader,
  parseHeaderTxt,
} from './header-txt.ts'
import {
  readZipEntries,
  readZipEntry,
  readZipEntryBytes,
  ZipDamagedError,
  type ZipEntry,
  type ZipFault,
  type ZipSource,
} from './zip-read.ts'

/**
 * From a ciphertext file to plain data, without judging who wrote it: `judge-message.ts` does that, after the caller
 * has found the sender's key. Plain data in and out, slow: tasks of `cm/workers/`. Nothing here is trusted yet.
 */

/** Octets of a body we hand out as text; a longer one is listed as an attachment, so that it is not lost. */
const MAX_BODY_BYTES = 32 * 1024 * 1024

/** Whose mail this is. */
export interface MessageOwner {
  readonly keyId: KeyId
  /** Armored, without passphrase; the present key and those it replaced. */
  readonly secretKeys: readonly string[]
}

/** Why a message goes to quarantine: a closed list. */
export type UnreadableReason =
  | ReassemblyFault
  | DecryptFault
  | ContainerFault
  | ZipFault
  | HeaderFault
  | 'no-header'

/** What is odd about a message that can be read: a closed list. */
type ContentWarning =
  | HeaderWarning
  | 'body-missing'
  | 'body-not-utf8'
  | 'body-too-large'
  | 'entry-damaged'
  | 'attachment-renamed'
  | 'acknowledgment-unreadable'
  | 'acknowledgment-mismatch'
  | 'forwarded-original-missing'

interface OpenedAttachment {
  /** Safe to show and to save; unique in the message without regard to case. */
  readonly name: string
  readonly size: number
  /** Lower-case hex of the content. */
  readonly sha256: string
  /** For `readZipEntry(zip, entry)`. */
  readonly entry: ZipEntry
}

/** The original of a signed forward, still packed: a ZIP and its detached signature (CM message 6). */
interface ForwardedOriginal {
  /** Message id of the original, lower case. */
  readonly id: string
  readonly zip: ZipEntry
  readonly signature: ZipEntry
}

export interface OpenedMessage {
  readonly kind: 'opened'
  readonly zip: ZipSource
  /**
   * All of them. A wrong CRC-32 of a body or attachment is put right here and warned of: the signature says whether the
   * bytes are the sender's, so a damaged one can be read again without an error.
   */
  readonly entries: readonly ZipEntry[]
  /** Empty when the message is not signed. */
  readonly signature: Uint8Array
  /** 16 hex digits each, to look for keys by; not verified. */
  readonly signatureIssuers: readonly string[]
  /** Lower-case hex over the signed bytes. */
  readonly zipSha256: string
  readonly header: MessageHeader
  readonly bodyText: string | undefined
  readonly bodyHtml: string | undefined
  readonly bodyXml: string | undefined
  readonly attachments: readonly OpenedAttachment[]
  /** From the ACK file of our key; worth nothing before the message is judged good. */
  readonly acknowledgment: AckContent & { readonly acknowledgmentId: AcknowledgmentId | undefined }
  readonly forwardedOriginal: ForwardedOriginal | undefined
  readonly warnings: readonly ContentWarning[]
}

type Contents = Omit<
  OpenedMessage,
  'kind' | 'zip' | 'entries' | 'signature' | 'signatureIssuers' | 'zipSha256'
>

export type OpenOutcome = OpenedMessage | UnreadableMessage

interface UnreadableMessage {
  readonly kind: 'unreadable'
  readonly reason: UnreadableReason
}

/**
 * Decrypts a file and opens what was in it. What is not small goes into `container.bin` of the work directory, which
 * then holds everything the result refers to.
 */
export async function openCiphertext(given: {
  readonly ciphertextPath: string
  readonly workDir: string
  readonly owner: MessageOwner
}): Promise<OpenOutcome> {
  const { size } = await stat(given.ciphertextPath)
  if (size <= MAX_IN_MEMORY_BYTES) {
    const ciphertext = await readFile(given.ciphertextPath)
    const opened = await openSmall(ciphertext, given.owner)
    // Else from file to file, which says why not, and has room for what unpacks to much more.
    if (opened !== undefined) return opened
  }
  const containerPath = join(given.workDir, 'container.bin')
  const decrypted = await decryptFile(given.ciphertextPath, containerPath, {
    secretKeys: given.owner.secretKeys,
    maxBytes: MAX_CIPHERTEXT_BYTES,
  })
  if (decrypted.kind === 'failed') return { kind: 'unreadable', reason: decrypted.reason }
  return openContainer({ containerPath, owner: given.owner })
}

/**
 * Decrypts and opens a small message that is in memory. Undefined when it is not what was announced, cannot be
 * decrypted, or takes more room.
 */
export async function openInMemory(given: {
  readonly ciphertext: Uint8Array
  readonly messageHash: MessageHash
  readonly owner: MessageOwner
}): Promise<OpenOutcome | undefined> {
  const { ciphertext, messageHash, owner } = given
  const isAsAnnounced = createHash('sha1').update(ciphertext).digest('hex') === messageHash
  return isAsAnnounced ? openSmall(ciphertext, owner) : undefined
}

async function openSmall(ciphertext: Uint8Array, owner: MessageOwner): Promise<OpenOutcome | undefined> {
  const { secretKeys } = owner
  const bytes = await decryptBytes(ciphertext, { secretKeys, maxBytes: MAX_IN_MEMORY_BYTES })
  return bytes === undefined ? undefined : openSource({ bytes }, owner)
}

/** Opens a decrypted container file; without an owner no acknowledgment is looked for. */
export function openContainer(given: {
  readonly containerPath: string
  readonly owner?: MessageOwner | undefined
}): Promise<OpenOutcome> {
  return openSource({ path: given.containerPath }, given.owner)
}

async function openSource(source: ByteSource, owner: MessageOwner | undefined): Promise<OpenOutcome> {
  const container = await readContainer(source)
  if (container.kind === 'unreadable') return container
  const { signature, zip } = container
  const listed = await readZipEntries(zip)
  if (listed.kind === 'unreadable') return listed
  const opening = new Opening(zip, listed.entries)
  try {
    const header = await opening.header()
    if ('reason' in header) return header
    const contents = await opening.contents(header, owner)
    return {
      kind: 'opened',
      zip,
      entries: opening.entries,
      signature,
      signatureIssuers: await signatureIssuers(signature),
      zipSha256: await sha256(sourceChunks(zip, { start: zip.start })),
      ...contents,
    }
  } catch (error) {
    if (error instanceof ZipDamagedError) return { kind: 'unreadable', reason: 'zip-damaged' }
    throw error
  }
}

/** One archive being read; every entry it touches is checked to its last octet. */
class Opening {
  readonly #zip: ZipSource
  readonly #entries: ZipEntry[]
  readonly #warnings = new Set<ContentWarning>()

  constructor(zip: ZipSource, entries: readonly ZipEntry[]) {
    this.#zip = zip
    this.#entries = [...entries]
  }

  get entries(): readonly ZipEntry[] {
    return this.#entries
  }

  async header(): Promise<MessageHeader | UnreadableMessage> {
    const entry = this.#find('HEADER.TXT')
    if (entry === undefined) return { kind: 'unreadable', reason: 'no-header' }
    if (entry.size > MAX_HEADER_TXT_BYTES) return { kind: 'unreadable', reason: 'header-too-large' }
    const parsed = parseHeaderTxt(
      await readZipEntryBytes(this.#zip, entry, { maxBytes: MAX_HEADER_TXT_BYTES }),
    )
    if (parsed.kind === 'unreadable') return parsed
    for (const warning of parsed.warnings) this.#warnings.add(warning)
    return parsed.header
  }

  async contents(header: MessageHeader, owner: MessageOwner | undefined): Promise<Contents> {
    const bodyText = await this.#body('BODY.TXT')
    const bodyHtml = await this.#body('BODY.HTML')
    const bodyXml = await this.#body('BODY.XML')
    if (bodyText === undefined) this.#warnings.add('body-missing')
    const attachments = await this.#attachments()
    const acknowledgment = await this.#acknowledgment(header, owner)
    const forwardedOriginal = await this.#forwardedOriginal(header)
    const warnings = [...this.#warnings]
    return { header, bodyText, bodyHtml, bodyXml, attachments, acknowledgment, forwardedOriginal, warnings }
  }

  #find(name: string): ZipEntry | undefined {
    return this.#entries.find((entry) => entry.name === name)
  }

  #bytes(entry: ZipEntry, maxBytes: number): Promise<Buffer> {
    const onWrongChecksum = (checksum: number) => this.#correct(entry, checksum)
    return readZipEntryBytes(this.#zip, entry, { maxBytes, onWrongChecksum })
  }

  #correct(entry: ZipEntry, checksum: number): void {
    this.#warnings.add('entry-damaged')
    this.#entries[this.#entries.indexOf(entry)] = { ...entry, crc32: checksum }
  }

  async #body(name: string): Promise<string | undefined> {
    const entry = this.#find(name)
    if (entry === undefined) return undefined
    if (entry.size > MAX_BODY_BYTES) {
      this.#warnings.add('body-too-large')
      return undefined
    }
    const bytes = await this.#bytes(entry, MAX_BODY_BYTES)
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    } catch {
      // The reference cannot open such a message; we show what can be read.
      this.#warnings.add('body-not-utf8')
      return new TextDecoder('utf-8').decode(bytes)
    }
  }

  async #attachments(): Promise<OpenedAttachment[]> {
    const entries = this.#entries.filter(
      (entry) => entry.name.startsWith('_') || (BODY_NAMES.has(entry.name) && entry.size > MAX_BODY_BYTES),
    )
    const raw = entries.map((entry) => (entry.name.startsWith('_') ? entry.name.slice(1) : entry.name))
    const names = safeAttachmentNames(raw)
    if (names.some((name, index) => name !== raw[index])) this.#warnings.add('attachment-renamed')
    const attachments: OpenedAttachment[] = []
    for (const [index, entry] of entries.entries()) {
      const position = this.#entries.indexOf(entry)
      const digest = await sha256(
        readZipEntry(this.#zip, entry, (checksum) => this.#correct(entry, checksum)),
      )
      attachments.push({
        name: names[index] ?? 'attachment',
        size: entry.size,
        sha256: digest,
        entry: this.#entries[position] ?? entry,
      })
    }
    return attachments
  }

  async #acknowledgment(
    header: MessageHeader,
    owner: MessageOwner | undefined,
  ): Promise<OpenedMessage['acknowledgment']> {
    const content = owner === undefined ? NO_ACK : await this.#ackContent(owner)
    const id = ackIdOf(content)
    if (owner !== undefined && id !== undefined && id !== header.acknowledgmentIds.get(owner.keyId)) {
      this.#warnings.add('acknowledgment-mismatch')
    }
    return { ...content, acknowledgmentId: id }
  }

  /** The first of both names in archive order, as in the reference (CM message 4.3). */
  async #ackContent(owner: MessageOwner): Promise<AckContent> {
    const plainName = ackEntryName(owner.keyId, 'BIN')
    const sealedName = ackEntryName(owner.keyId, 'PGP')
    const entry = this.#entries.find(({ name }) => name === plainName || name === sealedName)
    if (entry === undefined) return NO_ACK
    const content = entry.size > MAX_ACK_FILE_BYTES ? NO_ACK : await this.#readAck(entry, owner)
    if (content.acknowledgmentSecret === undefined) this.#warnings.add('acknowledgment-unreadable')
    return content
  }

  async #readAck(entry: ZipEntry, owner: MessageOwner): Promise<AckContent> {
    const bytes = await this.#bytes(entry, MAX_ACK_FILE_BYTES)
    if (entry.name.endsWith('.BIN')) return parseRawAck(bytes)
    const plain = await decryptBytes(bytes, { secretKeys: owner.secretKeys, maxBytes: MAX_ACK_BYTES })
    return plain === undefined ? NO_ACK : parseEncryptedAck(plain)
  }

  async #forwardedOriginal(header: MessageHeader): Promise<ForwardedOriginal | undefined> {
    const id = header.forwardedMessageId
    if (id === undefined) return undefined
    const zip = this.#find(`${id.toUpperCase()}.ZIP`)
    const signature = this.#find(`${id.toUpperCase()}.DTS`)
    if (zip === undefined || signature === undefined) {
      this.#warnings.add('forwarded-original-missing')
      return undefined
    }
    return { id, zip, signature }
  }
}

const BODY_NAMES: ReadonlySet<string> = new Set(['BODY.TXT', 'BODY.HTML', 'BODY.XML'])
const NO_ACK: AckContent = { acknowledgmentSecret: undefined, bypassGrant: undefined }

async function sha256(content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of content) hash.update(chunk)
  return hash.digest('hex')
}

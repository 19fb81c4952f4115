import { createReadStream } from 'node:fs'
import { duration } from '../../base/clock.ts'
import type { Secret } from '../../base/secret.ts'
import type { AddressJudge } from '../../net/address-guard.ts'
import { blockLines } from '../block-text.ts'
import { encodeBlockLines, encodeLine, MAX_LINE_BYTES } from '../framer.ts'
import { type BlockKey, parseKeyId } from '../ids.ts'
import { formatUtcTime } from '../utc-time.ts'
import { CmProtocolError } from './cm-protocol-error.ts'
import type { CmDialogue } from './dialogue.ts'
import {
  type DataOutcome,
  type DataSink,
  type GetOutcome,
  type Refused,
  readDataReply,
  readTextReply,
  refusalOf,
} from './read-reply.ts'
import type { UploadThrottle } from './upload-throttle.ts'

/** Milliseconds for GOODBYE; a server that only hangs up has said goodbye too (CM wire 10.1). */
const GOODBYE_TIMEOUT_MS = 5 * duration.second
/** Octets of a payload that are written at once, each with the time of a reply: a line of 10 kbit/s is fast enough. */
const PAYLOAD_CHUNK_BYTES = 16 * 1024

/** What the remembered certificate says about the one that was shown (design 9). */
export type CertificateState = 'first-seen' | 'known' | 'replaced' | 'changed'

export type LoginReply =
  | { readonly kind: 'ok' }
  | { readonly kind: 'refused' }
  /** The server's certificate changed and nobody vouches for it: the auth key was not sent (design 9). */
  | { readonly kind: 'certificate-changed' }

/** How a block is handed over (CM wire 7.3). `proxy` keeps its Post-To lines, the others must not have any. */
export type StoreCommand =
  | { readonly kind: 'server' }
  /** Said by a server that passes the block on: its keys are in upper case (CM wire 1.2). */
  | { readonly kind: 'relayed' }
  /** The server passes it on, not before `afterMs` when that is given; needs a login. */
  | { readonly kind: 'proxy'; readonly afterMs?: number }
  /** Between servers: `userId` is who posted it there, `none` for nobody. */
  | { readonly kind: 'replicate'; readonly userId: string }

/** DONE says "received", not "accepted": whoever must know reads the block back (CM wire 7.6). */
export type StoreReply = { readonly kind: 'done' } | Refused

export type DnsTxtReply =
  | { readonly kind: 'records'; readonly texts: readonly string[] }
  | { readonly kind: 'not-found' }
  | Refused

/** Where the payload of a data block comes from. */
export type PayloadSource = Uint8Array | { readonly path: string; readonly bytes: number }

/**
 * A connection to a CM server inside TLS; commands strictly one after the other. Methods throw `CmProtocolError` when
 * the server breaks the protocol or lies; the session is over then. Always end with `quit` or `close`.
 */
export class CmSession {
  readonly hostPort: string
  /** `changed`: LOGIN is refused by this client; reading and storing without login go on. */
  readonly certificate: CertificateState
  /** SHA-1 and SHA-256 of the server's certificate, lower-case hex: for whoever pins it (CM wire 9.3). */
  readonly certificateDigests: readonly string[]
  /** True when the server's certificate is valid now for that host under the authorities, whatever host was asked for. */
  readonly isTrustedFor: (host: string) => boolean
  /** True when the judge would have let this connection be made (design 8.4). */
  readonly isAllowedBy: (judge: AddressJudge) => boolean
  readonly #dialogue: CmDialogue
  readonly #throttle: UploadThrottle | undefined
  #busy = false as boolean
  /** It gave the server something to pass on. */
  #relayed = false as boolean
  #ended = false as boolean

  constructor(
    dialogue: CmDialogue,
    about: {
      readonly hostPort: string
      readonly certificate: CertificateState
      readonly certificateDigests?: readonly string[]
      readonly isTrustedFor?: (host: string) => boolean
      readonly isAllowedBy: (judge: AddressJudge) => boolean
      readonly throttle?: UploadThrottle | undefined
    },
  ) {
    this.#dialogue = dialogue
    this.#throttle = about.throttle
    this.hostPort = about.hostPort
    this.certificate = about.certificate
    this.certificateDigests = about.certificateDigests ?? []
    this.isTrustedFor = about.isTrustedFor ?? (() => false)
    this.isAllowedBy = about.isAllowedBy
  }

  /**
   * True while another task may go on with it. Not after STORE PROXY: the reference begins to pass blocks on when the
   * connection closes (CM wire 9.4).
   */
  get isReusable(): boolean {
    return this.#dialogue.isSound && !this.#busy && !this.#relayed && !this.#ended
  }

  /** Pieces the server sent so far: unchanged as long as it has not answered. */
  get chunksRead(): number {
    return this.#dialogue.chunksRead
  }

  /** LOGIN; key ids go in upper case, role names as given, since the reference compares them exactly (CM wire 7.7). */
  async login(userId: string, authKey: Secret<string>): Promise<LoginReply> {
    if (this.certificate === 'changed') return { kind: 'certificate-changed' }
    const { dialogue, release } = this.#begin()
    try {
      await dialogue.ask(`LOGIN ${parseKeyId(userId)?.toUpperCase() ?? userId} ${authKey.reveal()}`)
      const reply = await dialogue.line()
      if (reply.toUpperCase() === 'DONE') return { kind: 'ok' }
      if (refusalOf(reply) !== undefined) return { kind: 'refused' }
      throw dialogue.fail(new CmProtocolError('unexpected-reply'))
    } finally {
      release()
    }
  }

  /** A text block under the key; of announcements only records dated `sinceMs` (milliseconds) or later. */
  getBlock(key: BlockKey, sinceMs?: number): Promise<GetOutcome> {
    const since = sinceMs === undefined ? '' : ` SINCE ${formatUtcTime(sinceMs)}`
    return this.#exchange(`GET SERVER ${key}${since}`, (dialogue) => readTextReply(dialogue))
  }

  /**
   * The data block under the key: its payload goes to the sink's file (made anew, durable at the end), is at most 8 MiB
   * and hashes to the key. When anything is wrong the file is removed again. A path alone is a sink that holds nothing.
   */
  getData(key: BlockKey, sink: DataSink | string): Promise<DataOutcome> {
    const target = typeof sink === 'string' ? { heldBytes: 0, file: async () => sink } : sink
    return this.#exchange(`GET SERVER ${key}`, (dialogue) => readDataReply(dialogue, key, target))
  }

  /** Posts a text block (LF lines, no EndBlock). Throws a plain error for text that would not survive the wire. */
  storeText(key: BlockKey, blockText: string, how: StoreCommand = TO_SERVER): Promise<StoreReply> {
    requireSendable(blockText)
    requireAddressing(blockText, how)
    this.#relayed ||= how.kind === 'proxy'
    return this.#exchange(storeLine(key, how), async (dialogue) => {
      await dialogue.send(encodeBlockLines(blockText))
      await dialogue.send(encodeLine('EndBlock'))
      return readStoreReply(dialogue)
    })
  }

  /** Posts a data block: header lines up to and including `Data: n`, then exactly n octets. */
  storeData(
    key: BlockKey,
    headerText: string,
    payload: PayloadSource,
    how: StoreCommand = TO_SERVER,
  ): Promise<StoreReply> {
    const payloadBytes = payload instanceof Uint8Array ? payload.length : payload.bytes
    requireDataHeader(headerText, payloadBytes)
    requireAddressing(headerText, how)
    this.#relayed ||= how.kind === 'proxy'
    const throttle = this.#throttle
    return this.#exchange(storeLine(key, how), async (dialogue) => {
      await dialogue.send(encodeBlockLines(headerText))
      const chunks = payloadChunks(payload, throttle?.pieceBytes)
      const pass = async (bytes: number): Promise<void> => throttle?.pass(bytes)
      const sent = await dialogue.sendPayload(chunks, payloadBytes, pass)
      // The header promised n octets; with another number the server would take the next command for payload.
      if (sent !== payloadBytes)
        throw dialogue.fail(new Error(`payload has ${sent} octets, not ${payloadBytes}`))
      return readStoreReply(dialogue)
    })
  }

  /** Tells a replica of an account; the session is logged in as `replication` (CM wire 9.3). */
  replogin(userId: string, authKey: Secret<string>): Promise<StoreReply> {
    return this.#exchange(`REPLOGIN ${userId} ${authKey.reveal()}`, readStoreReply)
  }

  /** TXT records of a name through the server; a lone EndBlock means none (CM wire 7.8). */
  dnsTxt(name: string): Promise<DnsTxtReply> {
    return this.#exchange(`DNS TXT ${name}`, async (dialogue): Promise<DnsTxtReply> => {
      const reply = await readTextReply(dialogue)
      if (reply.kind === 'not-yet') return { kind: 'not-found' }
      if (reply.kind !== 'block') return reply
      const lines = reply.text.split('\n').filter((line) => line.startsWith('TXT: '))
      return { kind: 'records', texts: lines.map((line) => line.slice('TXT: '.length)) }
    })
  }

  /** Says goodbye and closes; never throws for what the server does. */
  async quit(): Promise<void> {
    this.#ended = true
    try {
      await this.#exchange('QUIT', (dialogue) => dialogue.line(GOODBYE_TIMEOUT_MS))
    } catch (error) {
      if (!(error instanceof CmProtocolError)) throw error
    }
    await this.#dialogue.channel.end()
  }

  /** Drops the connection at once. */
  close(): void {
    this.#ended = true
    this.#dialogue.channel.destroy()
  }

  async #exchange<T>(command: string, answer: (dialogue: CmDialogue) => Promise<T>): Promise<T> {
    const { dialogue, release } = this.#begin()
    try {
      await dialogue.ask(command)
      return await answer(dialogue)
    } catch (error) {
      // Whatever interrupted a question (the disk, too) leaves its answer on the wire: the session is over.
      throw dialogue.fail(error)
    } finally {
      release()
    }
  }

  #begin(): { dialogue: CmDialogue; release: () => void } {
    if (this.#busy) throw new Error('a CM session takes one command at a time')
    this.#busy = true
    return {
      dialogue: this.#dialogue,
      release: () => {
        this.#busy = false
      },
    }
  }
}

const TO_SERVER: StoreCommand = { kind: 'server' }

function storeLine(key: BlockKey, how: StoreCommand): string {
  switch (how.kind) {
    case 'server':
      return `STORE SERVER ${key}`
    case 'relayed':
      return `STORE SERVER ${key.toUpperCase()}`
    case 'proxy':
      return `STORE PROXY ${key}${how.afterMs === undefined ? '' : ` AFTER ${formatUtcTime(how.afterMs)}`}`
    case 'replicate':
      // Servers write hashes in upper case to each other (CM wire 1.2).
      return `REPLICATE ${key.toUpperCase()} ${how.userId}`
  }
}

async function readStoreReply(dialogue: CmDialogue): Promise<StoreReply> {
  const reply = await dialogue.line(dialogue.timeouts.storeMs)
  if (reply.toUpperCase() === 'DONE') return { kind: 'done' }
  const refusal = refusalOf(reply)
  if (refusal !== undefined) return refusal
  throw dialogue.fail(new CmProtocolError('unexpected-reply', { reply }))
}

async function* payloadChunks(
  payload: PayloadSource,
  maxBytes = PAYLOAD_CHUNK_BYTES,
): AsyncGenerator<Uint8Array> {
  const chunkBytes = Math.min(maxBytes, PAYLOAD_CHUNK_BYTES)
  if (!(payload instanceof Uint8Array)) {
    yield* createReadStream(payload.path, { highWaterMark: chunkBytes })
    return
  }
  for (let offset = 0; offset < payload.length; offset += chunkBytes) {
    yield payload.subarray(offset, offset + chunkBytes)
  }
}

/** Lines that mean something to the framing of the other side. */
const FRAMING_LINE = /^(?:EndBlock|(?:Data|Padding): .*)$/i

function requireSendable(blockText: string): void {
  for (const line of blockLines(blockText)) {
    if (FRAMING_LINE.test(line)) throw new Error(`a text block cannot carry the line ${JSON.stringify(line)}`)
    if (Buffer.byteLength(line) > MAX_LINE_BYTES)
      throw new Error('a text block holds a line over 16384 octets')
  }
}

/** Lines of an outbox that say where a block goes and when (CM wire 8.5). */
const ADDRESSING_LINE = /^(?:Post-To|Embargo):/im
const SERVERS_LINE = /^Post-To: server=[^\n]*$/i

/**
 * Who gets a block is no part of it: only a server that passes it on may see that, and only `server=` targets; others
 * would be published in the DHT, and with `embargo:` a reference server's sender dies (CM wire 8.5).
 */
function requireAddressing(text: string, how: StoreCommand): void {
  const lines = blockLines(text).filter((line) => ADDRESSING_LINE.test(line))
  const isRight = how.kind === 'proxy' ? lines.every((line) => SERVERS_LINE.test(line)) : lines.length === 0
  if (!isRight) throw new Error('a block must not say where it goes')
  if (how.kind === 'proxy' && lines.length === 0) throw new Error('a block to pass on must say where it goes')
}

function requireDataHeader(headerText: string, payloadBytes: number): void {
  const lines = blockLines(headerText)
  const last = lines.pop()
  if (
    last !== `Data: ${payloadBytes}` ||
    payloadBytes === 0 ||
    lines.some((line) => FRAMING_LINE.test(line))
  ) {
    throw new Error('the header of a data block must end with the one line that names its octets')
  }
}

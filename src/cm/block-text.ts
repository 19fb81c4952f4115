import type { BlockType } from './server/port.ts'

/** What all block types share: lines, headers, reserved words and the limits of S9 (CM wire 2). */

/**
 * Text of one uploaded announcement or claim block: a whole mailbox, as servers and backups hand it on. Above 64 KiB
 * it lies in a file until it is its turn (CM wire S9).
 */
export const MAX_ANNOUNCEMENT_TEXT_BYTES = 8 * 1024 * 1024
/** Header text of a data block or an acknowledgment (CM wire S9). */
export const MAX_HEADER_TEXT_BYTES = 64 * 1024
/** A key announcement: design 9 refuses bigger ones before anything is parsed. */
export const MAX_KEY_ANNOUNCEMENT_BYTES = 256 * 1024
/** Records in one upload: as many as a mailbox holds; they are judged in a thread, and merged one by one. */
export const MAX_RECORDS = 20_000
/** DataBlock lines of one record: 1 GB of 64 KiB blocks, or 128 GB of the server's 8 MiB ones. */
export const MAX_DATA_BLOCKS = 16_384
/** Payload of a data block on a server (CM wire 2.2). */
export const MAX_SERVER_PAYLOAD_BYTES = 8 * 1024 * 1024
/** Payload of a data block on Entangled (CM wire 2.2). */
export const MAX_ENTANGLED_PAYLOAD_BYTES = 64 * 1024

/** First line of a clear-signed block: a key announcement or an address claim (CM wire 3.1). */
export const SIGNED_MESSAGE_BEGIN = '-----BEGIN PGP SIGNED MESSAGE-----'

const TYPE_BY_VALUE: ReadonlyMap<string, BlockType> = new Map([
  ['data', 'data'],
  ['message-announcement', 'message-announcement'],
  ['acknowledgment', 'acknowledgment'],
  // The reference takes both spellings (CM wire 2.5).
  ['acknowledgement', 'acknowledgment'],
  ['key-announcement', 'key-announcement'],
  ['address-claim', 'address-claim'],
])

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of a block, or undefined when the bytes are not UTF-8: no replacement character may slip into signed text. */
export function decodeBlockText(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

/** The lines of a block without line ends; CR is deleted anywhere, as every reader does (CM wire 1.5). */
export function blockLines(text: string): string[] {
  const lines = (text.includes('\r') ? text.replaceAll('\r', '') : text).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

export interface HeaderLine {
  /** Lower case. */
  readonly name: string
  /** The text behind `: `, unchanged. */
  readonly value: string
}

const HEADER = /^([A-Za-z-]+): (.*)$/

/** `Name: value` with exactly one colon and one blank (CM wire 2.1); undefined for any other line. */
export function parseHeaderLine(line: string): HeaderLine | undefined {
  const match = HEADER.exec(line)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { name: match[1].toLowerCase(), value: match[2] }
}

/** The block's type: the first `Type` line decides, its value is case-sensitive (CM wire 2.1). */
export function blockType(text: string): BlockType | undefined {
  return typeOfLines(blockLines(text))
}

/** As `blockType`, of a block that is in lines already. */
export function typeOfLines(lines: readonly string[]): BlockType | undefined {
  for (const line of lines) {
    const header = parseHeaderLine(line)
    if (header?.name === 'type') return TYPE_BY_VALUE.get(header.value)
  }
  return undefined
}

/** Headers of the reference's queue files: one in an upload refuses the whole block (CM wire 2.8). */
const FORBIDDEN = /^(?:storetype|storekeyid|loginuser|embargo|replogin-user|replogin-auth): /i

/** Lines with a meaning of their own on the wire; inside signed text they cannot be dropped, so they refuse the block (S5). */
const RESERVED =
  /^(?:(?:data|padding|post-to): .*|endblock|nextmessage|nextclaim|not found|failed|invalid command)$/i

/** True for a line that refuses the whole upload (CM wire 2.8). */
export function isForbiddenLine(line: string): boolean {
  return FORBIDDEN.test(line)
}

/** True for a line that signed text must not hold (S5). */
export function isReservedLine(line: string): boolean {
  return RESERVED.test(line)
}

export interface OutboxBlock {
  /** Values of the leading `Post-To` lines, in order. */
  readonly postTo: readonly string[]
  /** Value of the leading `Embargo` line. */
  readonly embargo: string | undefined
  /** The block itself, with the line ends it had. */
  readonly body: string
}

const OUTBOX_LINE = /^(Post-To|Embargo): ([^\n]*?)\r?\n/i

/** Takes the leading `Post-To` and `Embargo` lines of a block as it lies in an outbox (CM wire 8.5). */
export function splitOutboxBlock(text: string): OutboxBlock {
  const postTo: string[] = []
  let embargo: string | undefined
  let body = text
  for (let match = OUTBOX_LINE.exec(body); match !== null; match = OUTBOX_LINE.exec(body)) {
    if (match[1]?.toLowerCase() === 'embargo') embargo = match[2]
    else postTo.push(match[2] ?? '')
    body = body.slice(match[0].length)
  }
  return { postTo, embargo, body }
}

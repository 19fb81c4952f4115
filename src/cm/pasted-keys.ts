import { ARMOR_LABELS, encodeArmor, isChecksumOf } from './armor.ts'
import { type Packet, readPackets, TAG } from './certificate-packets.ts'

/**
 * Keys as people paste and save them (case K11): quoted, indented, on one line, without the empty line, in UTF-16, as
 * GnuPG's binary export. Everything is read that has one meaning only; the rest is refused with the line it is in.
 * Nothing here judges a key. Announcements are held to the strict form of `armor.ts`.
 */

export interface PastedKey {
  readonly kind: 'public' | 'secret'
  /** The one key, in the form GnuPG writes. */
  readonly armored: string
}

export type PastedKeys =
  | { readonly kind: 'keys'; readonly keys: readonly PastedKey[] }
  /** `sentence` names the line and what to do, for people. */
  | { readonly kind: 'refused'; readonly sentence: string }

/** Octets of a paste or file: a key of 256 KiB in UTF-16 with text around it fits. */
export const MAX_PASTED_BYTES = 1024 * 1024
/** Keys of one paste: each is verified. */
const MAX_PASTED_KEYS = 100
/** Packets of one block that may hold several keys. */
const MAX_BLOCK_PACKETS = 10_000

type Refused = Extract<PastedKeys, { kind: 'refused' }>

const refused = (line: number, what: string): Refused => ({
  kind: 'refused',
  sentence: `line ${line}: ${what}`,
})

/** Reads every key of a paste or file, in order. */
export function readPastedKeys(input: string | Uint8Array): PastedKeys {
  if (input.length > MAX_PASTED_BYTES) {
    return { kind: 'refused', sentence: `more than ${MAX_PASTED_BYTES / 1024} KiB: too large for keys` }
  }
  const blocks =
    typeof input !== 'string' && isBinary(input) ? [binaryBlock(input)] : findBlocks(textOf(input))
  if (!Array.isArray(blocks)) return blocks
  const keys: PastedKey[] = []
  for (const block of blocks) {
    const split = splitKeys(block)
    if (split.kind === 'refused') return split
    keys.push(...split.keys)
  }
  if (keys.length > MAX_PASTED_KEYS) {
    return { kind: 'refused', sentence: `more than ${MAX_PASTED_KEYS} keys at once: import them in parts` }
  }
  return { kind: 'keys', keys }
}

/** GnuPG's export without `--armor`: the first octet of a packet is never the first of a text. */
function isBinary(bytes: Uint8Array): boolean {
  const [first = 0, second = 0] = bytes
  const isByteOrderMark = (first === 0xef && second === 0xbb) || (first === 0xff && second === 0xfe)
  return (first & 0x80) !== 0 && !isByteOrderMark && !(first === 0xfe && second === 0xff)
}

/** UTF-8, or UTF-16 as a Windows shell writes what it redirects. */
function textOf(input: string | Uint8Array): string {
  if (typeof input === 'string') return input
  const [first, second] = input
  if ((first === 0xff && second === 0xfe) || second === 0) return new TextDecoder('utf-16le').decode(input)
  if ((first === 0xfe && second === 0xff) || first === 0) return new TextDecoder('utf-16be').decode(input)
  return new TextDecoder().decode(input)
}

/** Octets of one block and the line it begins in; 0 for a binary file. */
interface Block {
  readonly line: number
  readonly bytes: Buffer
}

function binaryBlock(bytes: Uint8Array): Block {
  return { line: 0, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

interface Marker {
  readonly word: string
  readonly label: string
  readonly start: number
  readonly end: number
}

/** Dashes as word processors turn them, and what they do to a run of five; a run is tried from its start alone. */
const MARKER =
  /(?<![-\u2010-\u2015\u2212])[-\u2010-\u2015\u2212]+ ?(BEGIN|END) (PGP (?:PUBLIC|PRIVATE) KEY BLOCK) ?[-\u2010-\u2015\u2212]+/g
/** Characters nobody sees. */
const INVISIBLE = /[\u00ad\u200b-\u200d\u2060\ufeff]/g

function findBlocks(given: string): Block[] | Refused {
  const text = given.replace(/\r\n?/g, '\n').replace(INVISIBLE, '')
  const markers = [...text.matchAll(MARKER)].map(
    (match): Marker => ({
      word: match[1] ?? '',
      label: match[2] ?? '',
      start: match.index,
      end: match.index + match[0].length,
    }),
  )
  const blocks: Block[] = []
  let line = 1
  let counted = 0
  for (let at = 0; at < markers.length; at += 2) {
    const [first, last] = [markers[at], markers[at + 1]]
    if (first === undefined) break
    line += text.slice(counted, first.start).split('\n').length - 1
    counted = first.start
    if (first.word === 'END')
      return refused(line, 'a key block ends here that began nowhere: copy it from its first line')
    if (last === undefined || last.word !== 'END' || last.label !== first.label) {
      return refused(
        line,
        `the key block that begins here has no "-----END ${first.label}-----": copy it to its end`,
      )
    }
    const block = decodeBlock(text.slice(first.end, last.start), line)
    if (block.kind === 'refused') return block
    blocks.push({ line, bytes: block.bytes })
  }
  if (blocks.length > 0) return blocks
  return refused(
    1,
    `no "-----BEGIN ${ARMOR_LABELS.public}-----" or "…${ARMOR_LABELS.secret}-----" from here on: this is no key, or only a part of one`,
  )
}

/** `Version: …`: base64 has no colon. */
const HEADER = /^[A-Za-z][A-Za-z-]* ?: /
/** Signs of a quotation, an indentation, a comment, or a dash-escaped line (CM wire 3.2). */
const QUOTED = /^[\s>|:#*]*(?:- )?/
/** Alone, or behind the data when every line end is gone. */
const CHECKSUM = /^([A-Za-z0-9+/]*={0,2})=([A-Za-z0-9+/]{4})$/
/** Shorter words may be a header's. */
const MIN_ONE_LINE_WORD = 60

interface Word {
  readonly text: string
  readonly line: number
}

/** The octets between two markers; `line` is the one of the first marker. */
function decodeBlock(
  body: string,
  line: number,
): { readonly kind: 'bytes'; readonly bytes: Buffer } | Refused {
  const words = body.split('\n').flatMap((text, index) => dataWords(text.replace(QUOTED, ''), line + index))
  const checksum = takeChecksum(words)
  const stranger = words.find(({ text }) => !/^[A-Za-z0-9+/]+={0,2}$/.test(text))
  if (stranger !== undefined) {
    return refused(
      stranger.line,
      `${JSON.stringify(shorten(stranger.text))} is no part of a key: take it out, or copy the key again`,
    )
  }
  const lastLine = words.at(-1)?.line ?? line
  const base64 = words.map(({ text }) => text).join('')
  if (base64 === '') return refused(line, 'there is nothing in the key block that begins here')
  const padding = base64.indexOf('=')
  if ((padding >= 0 && padding < base64.length - 2) || base64.replace(/=+$/, '').length % 4 === 1) {
    return refused(lastLine, 'the key block ends too early: a part of it is missing')
  }
  const bytes = Buffer.from(base64, 'base64')
  if (checksum !== undefined && !isChecksumOf(checksum.text, bytes)) {
    return refused(
      checksum.line,
      `the checksum does not fit the lines from ${line} on: something was lost or changed, copy the key again`,
    )
  }
  return { kind: 'bytes', bytes }
}

/** Takes the checksum off the end, if there is one. */
function takeChecksum(words: Word[]): Word | undefined {
  const last = words.at(-1)
  const match = CHECKSUM.exec(last?.text ?? '')
  if (last === undefined || match === null) return undefined
  const [, data = '', checksum = ''] = match
  words.splice(-1, 1, ...(data === '' ? [] : [{ text: data, line: last.line }]))
  return { text: checksum, line: last.line }
}

/** The words of a line that are data: none of a header, but those behind one when everything stands on one line. */
function dataWords(text: string, line: number): Word[] {
  const words = text.split(/\s+/).filter((word) => word !== '' && word !== '\ufffd')
  const from = HEADER.test(text) ? words.findIndex(isFirstOfKey) : 0
  return from < 0 ? [] : words.slice(from).map((word) => ({ text: word, line }))
}

/** Long, and its first octet is that of a key packet: no fingerprint or version looks like it. */
function isFirstOfKey(word: string): boolean {
  if (word.length < MIN_ONE_LINE_WORD || !/^[A-Za-z0-9+/]+={0,2}$/.test(word)) return false
  const first = Buffer.from(word.slice(0, 4), 'base64')[0] ?? 0
  const tag = (first & 0x40) === 0 ? (first >> 2) & 0xf : first & 0x3f
  return (first & 0x80) !== 0 && (tag === TAG.publicKey || tag === TAG.secretKey)
}

/** What may be shown of something unknown. */
function shorten(text: string): string {
  const shown = text.replace(/\p{C}/gu, '?')
  return shown.length > 20 ? `${shown.slice(0, 20)}…` : shown
}

/** A block of GnuPG's may hold several keys, one behind the other. */
function splitKeys({ line, bytes }: Block): PastedKeys {
  const place = (what: string): Refused =>
    line === 0 ? { kind: 'refused', sentence: `the file: ${what}` } : refused(line, what)
  const read = readPackets(bytes, MAX_BLOCK_PACKETS)
  if (read.kind === 'refused') return place('the key that begins here is damaged or cut off: copy it again')
  const starts = read.packets.filter(({ tag }) => tag === TAG.publicKey || tag === TAG.secretKey)
  if (starts.length === 0 || starts[0] !== read.packets[0]) return place('what begins here is no key')
  const keys = starts.map((first, index): PastedKey => {
    const until = starts[index + 1]?.start ?? bytes.length
    const own = read.packets.filter(({ start }) => start >= first.start && start < until)
    const kind = own.some(isSecret) ? 'secret' : 'public'
    return { kind, armored: encodeArmor(kind, bytes.subarray(first.start, until)) }
  })
  return { kind: 'keys', keys }
}

function isSecret({ tag }: Packet): boolean {
  return tag === TAG.secretKey || tag === TAG.secretSubkey
}

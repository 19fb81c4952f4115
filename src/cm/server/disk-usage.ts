import { parseAddressClaims } from '../address-claim.ts'
import type { BlockKey } from '../ids.ts'
import { parseMessageAnnouncements } from '../message-announcement.ts'
import type { BlockType } from './port.ts'

/** Whose blocks take how much room on a CM server (CM wire 9.8). */

/** One stored record, or data block. */
export interface UsageRow {
  readonly key: BlockKey
  readonly text: string
  readonly payloadBytes: number
}

/** What lies on a server for one key; octets are rounded up to the block size, item by item. */
export interface UsageLine {
  /** Empty: of nobody who is known, such as data blocks no announcement names. */
  readonly keyId: string
  /** Data blocks announced to the key, also those that others get too. */
  readonly dataBlocks: number
  readonly dataBytes: number
  /** The same, each block divided by the number of keys it is announced to. */
  readonly sharedDataBytes: number
  /** Mailboxes that are not empty. */
  readonly announcements: number
  readonly announcementBytes: number
  readonly messages: number
  readonly keyBytes: number
  readonly claims: number
  readonly claimBytes: number
  readonly acknowledgments: number
  readonly acknowledgmentBytes: number
}

type Counts = { -readonly [Field in Exclude<keyof UsageLine, 'keyId'>]: number }

/** Octets of the line's blocks, data apportioned: lines add up to what is on the disk. */
export function totalBytes(line: UsageLine): number {
  const { sharedDataBytes, announcementBytes, keyBytes, claimBytes, acknowledgmentBytes } = line
  return sharedDataBytes + announcementBytes + keyBytes + claimBytes + acknowledgmentBytes
}

/**
 * Adds up the stored rows by key id, largest first. `rows` is asked for one type after the other, rows of one key next
 * to each other; only the names of announced data blocks are held. `blockBytes`: the file system's unit, 1 for octets.
 */
export function diskUsage(
  rows: (type: BlockType) => Iterable<UsageRow>,
  { blockBytes }: { readonly blockBytes: number },
): readonly UsageLine[] {
  const usage = new UsageByKey(blockBytes)
  for (const row of rows('message-announcement')) usage.addAnnouncement(row)
  usage.endMailbox()
  for (const row of rows('data')) usage.addData(row)
  for (const row of rows('key-announcement')) usage.add(row.key, { keyBytes: usage.rounded(row) })
  for (const row of rows('address-claim')) usage.addClaim(row)
  for (const row of rows('acknowledgment')) {
    usage.add('', { acknowledgments: 1, acknowledgmentBytes: usage.rounded(row) })
  }
  return usage.lines()
}

class UsageByKey {
  readonly #blockBytes: number
  readonly #counts = new Map<string, Counts>()
  /** Data block → the keys it was announced to. */
  readonly #announcedTo = new Map<BlockKey, readonly string[]>()
  /** The mailbox whose records are being read. */
  #mailbox: { readonly key: BlockKey; readonly keyId: string; bytes: number } | undefined

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes
  }

  rounded({ text, payloadBytes }: Pick<UsageRow, 'text' | 'payloadBytes'>): number {
    return this.#roundUp(Buffer.byteLength(text) + payloadBytes)
  }

  addAnnouncement({ key, text }: UsageRow): void {
    const parsed = parseMessageAnnouncements(text)
    const announcement = parsed.kind === 'ok' ? parsed.records[0]?.announcement : undefined
    const keyId = announcement?.recipient ?? ''
    if (this.#mailbox?.key !== key) this.endMailbox()
    this.#mailbox ??= { key, keyId, bytes: 0 }
    this.#mailbox.bytes += Buffer.byteLength(text)
    this.add(keyId, { messages: 1 })
    for (const block of new Set(announcement?.dataBlocks)) {
      const others = this.#announcedTo.get(block) ?? []
      if (!others.includes(keyId)) this.#announcedTo.set(block, [...others, keyId])
    }
  }

  /** A mailbox is one block, however many records it has. */
  endMailbox(): void {
    const mailbox = this.#mailbox
    this.#mailbox = undefined
    if (mailbox === undefined) return
    this.add(mailbox.keyId, { announcements: 1, announcementBytes: this.#roundUp(mailbox.bytes) })
  }

  addData(row: UsageRow): void {
    const keyIds = this.#announcedTo.get(row.key) ?? ['']
    const dataBytes = this.rounded(row)
    for (const keyId of keyIds) {
      this.add(keyId, { dataBlocks: 1, dataBytes, sharedDataBytes: dataBytes / keyIds.length })
    }
  }

  addClaim(row: UsageRow): void {
    const [record] = parseAddressClaims(row.text) ?? []
    const keyId = record?.kind === 'signed' ? (record.claim.keyId ?? '') : ''
    this.add(keyId, { claims: 1, claimBytes: this.rounded(row) })
  }

  add(keyId: string, more: Partial<Counts>): void {
    const counts = this.#counts.get(keyId) ?? noCounts()
    for (const field of Object.keys(more) as (keyof Counts)[]) counts[field] += more[field] ?? 0
    this.#counts.set(keyId, counts)
  }

  lines(): readonly UsageLine[] {
    return [...this.#counts]
      .map(([keyId, counts]) => ({ keyId, ...counts, sharedDataBytes: Math.round(counts.sharedDataBytes) }))
      .sort((a, b) => totalBytes(b) - totalBytes(a) || (a.keyId < b.keyId ? -1 : 1))
  }

  #roundUp(bytes: number): number {
    return Math.ceil(bytes / this.#blockBytes) * this.#blockBytes
  }
}

function noCounts(): Counts {
  return {
    dataBlocks: 0,
    dataBytes: 0,
    sharedDataBytes: 0,
    announcements: 0,
    announcementBytes: 0,
    messages: 0,
    keyBytes: 0,
    claims: 0,
    claimBytes: 0,
    acknowledgments: 0,
    acknowledgmentBytes: 0,
  }
}

import { describe, expect, it } from 'vitest'
import type { BlockKey, KeyId, MessageHash } from '../../../../src/cm/ids.ts'
import { mailboxHash } from '../../../../src/cm/ids.ts'
import { encodeMessageAnnouncement } from '../../../../src/cm/message-announcement.ts'
import { diskUsage, totalBytes, type UsageRow } from '../../../../src/cm/server/disk-usage.ts'
import type { BlockType } from '../../../../src/cm/server/port.ts'

const [ALICE, BOB] = ['a'.repeat(40), 'b'.repeat(40)] as [KeyId, KeyId]
const [SHARED, OWN, STRAY] = ['1', '2', '3'].map((digit) => digit.repeat(40)) as [
  BlockKey,
  BlockKey,
  BlockKey,
]

function announcement(recipient: KeyId, number: number, ...dataBlocks: readonly BlockKey[]): UsageRow {
  const text = encodeMessageAnnouncement({
    date: '2026-11-25T12:00:00Z',
    recipient,
    mailboxPrefix: '0',
    proofOfWork: 'bd,0,1',
    dataBlocks,
    messageHash: String(number).repeat(40) as MessageHash,
  })
  return { key: mailboxHash('0', recipient), text, payloadBytes: 0 }
}

const data = (key: BlockKey, payloadBytes: number): UsageRow => ({ key, text: 'Data: x\n', payloadBytes })

function usageOf(rows: Partial<Record<BlockType, readonly UsageRow[]>>, blockBytes = 1) {
  const lines = diskUsage((type) => rows[type] ?? [], { blockBytes })
  return new Map(lines.map((line) => [line.keyId, line]))
}

describe('diskUsage', () => {
  const rows = {
    'message-announcement': [
      announcement(ALICE, 1, SHARED),
      announcement(ALICE, 2, OWN, OWN),
      announcement(BOB, 3, SHARED),
    ],
    data: [data(SHARED, 992), data(OWN, 92), data(STRAY, 42)],
  }

  it('divides a data block among the keys it is announced to', () => {
    const usage = usageOf(rows)
    expect(usage.get(ALICE)).toMatchObject({ dataBlocks: 2, dataBytes: 1100, sharedDataBytes: 600 })
    expect(usage.get(BOB)).toMatchObject({ dataBlocks: 1, dataBytes: 1000, sharedDataBytes: 500 })
    expect(usage.get('')).toMatchObject({ dataBlocks: 1, dataBytes: 50, sharedDataBytes: 50 })
  })

  it('counts the records of a mailbox as messages, and the mailbox as one block', () => {
    const usage = usageOf(rows)
    const bytes = rows['message-announcement'].slice(0, 2).reduce((sum, { text }) => sum + text.length, 0)
    expect(usage.get(ALICE)).toMatchObject({ announcements: 1, messages: 2, announcementBytes: bytes })
    expect(usage.get(BOB)).toMatchObject({ announcements: 1, messages: 1 })
  })

  it('rounds each block up to the block size', () => {
    const usage = usageOf(rows, 512)
    expect(usage.get(ALICE)).toMatchObject({ dataBytes: 1024 + 512, announcementBytes: 1024 })
  })

  it('adds up to what is on the disk', () => {
    const texts = rows['message-announcement'].reduce((sum, { text }) => sum + text.length, 0)
    const sum = [...usageOf(rows).values()].reduce((total, line) => total + totalBytes(line), 0)
    expect(sum).toBe(1000 + 100 + 50 + texts)
  })

  it('gives a key its announcement, and acknowledgments to nobody', () => {
    const usage = usageOf({
      'key-announcement': [{ key: ALICE as string as BlockKey, text: 'x'.repeat(10), payloadBytes: 0 }],
      acknowledgment: [{ key: STRAY, text: 'x'.repeat(7), payloadBytes: 0 }],
    })
    expect(usage.get(ALICE)).toMatchObject({ keyBytes: 10 })
    expect(usage.get('')).toMatchObject({ acknowledgments: 1, acknowledgmentBytes: 7 })
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeAcknowledgment, parseAcknowledgment } from '../../src/cm/acknowledgment.ts'
import { blockLines, splitOutboxBlock } from '../../src/cm/block-text.ts'
import { encodeClearSigned, parseClearSigned } from '../../src/cm/clear-signed.ts'
import { encodeDataBlockHeader, parseDataBlockHeader, splitDataBlock } from '../../src/cm/data-block.ts'
import { type BlockKey, type KeyId, type MessageHash, mailboxHash } from '../../src/cm/ids.ts'
import { type MergeDecision, mergeBlocks } from '../../src/cm/merge.ts'
import {
  announcementProofInput,
  encodeMessageAnnouncement,
  joinMessageAnnouncements,
  parseMessageAnnouncements,
} from '../../src/cm/message-announcement.ts'
import { measureProofOfWork, solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { encodeTransport, parseTransport } from '../../src/cm/transport.ts'
import { formatUtcTime, parseUtcTime } from '../../src/cm/utc-time.ts'
import { validateBlock } from '../../src/cm/validate-block.ts'

const hexId = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
const dateMs = fc
  .integer({ min: Date.UTC(2026, 0, 1) / 1000, max: Date.UTC(2026, 0, 5) / 1000 })
  .map((s) => s * 1000)
const nowMs = Date.UTC(2026, 0, 6)
const recipient = 'e6e73df5920e7325f02029372afa2d8ead20d7fa' as KeyId
const key = mailboxHash('0', recipient)
const rules = { network: 'server', nowMs } as const

const newAnnouncement = fc.record({
  date: dateMs.map(formatUtcTime),
  recipient: hexId.map((id) => id as KeyId),
  mailboxPrefix: fc.stringMatching(/^[!-~]{1,5}$/),
  proofOfWork: fc.constant('bd,000000001,000000002'),
  serverNotify: fc.boolean(),
  bypassToken: fc.option(hexId, { nil: undefined }),
  dataBlocks: fc.array(
    hexId.map((id) => id as BlockKey),
    { maxLength: 5 },
  ),
  messageHash: hexId.map((id) => id as MessageHash),
})

describe('codecs', () => {
  it('read back what they wrote', () => {
    fc.assert(
      fc.property(fc.array(newAnnouncement, { minLength: 1, maxLength: 4 }), (announcements) => {
        const text = joinMessageAnnouncements(announcements.map(encodeMessageAnnouncement))
        const parsed = parseMessageAnnouncements(text)
        if (parsed.kind !== 'ok') throw new Error(parsed.kind)
        expect(parsed.records.map((record) => record.announcement)).toEqual(announcements)
        expect(joinMessageAnnouncements(parsed.records.map((record) => record.text))).toBe(text)
      }),
    )
  })

  it('read back data blocks and acknowledgments', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), dateMs, hexId, (payload, ms, secret) => {
        const header = { date: formatUtcTime(ms), proofOfWork: 'bd,0a,1b', payloadBytes: payload.length }
        const text = encodeDataBlockHeader(header)
        const split = splitDataBlock(Buffer.concat([Buffer.from(text), payload]))
        expect(split?.headerText).toBe(text)
        expect(Buffer.from(split?.payload ?? [])).toEqual(Buffer.from(payload))
        expect(parseDataBlockHeader(text)).toEqual({ header, text })
        const acknowledgment = {
          date: header.date,
          proofOfWork: header.proofOfWork,
          secret: Buffer.from(secret, 'hex'),
        }
        const written = encodeAcknowledgment(acknowledgment)
        expect(parseAcknowledgment(written)).toEqual({
          acknowledgment: { ...acknowledgment, secret },
          text: written,
        })
      }),
    )
  })

  it('read back clear-signed frames of any lines', () => {
    const line = fc.string({ unit: 'binary', maxLength: 30 }).filter((text) => !/[\r\n]/.test(text))
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        const signature = '-----BEGIN PGP SIGNATURE-----\n\nxx\n-----END PGP SIGNATURE-----\n'
        const parsed = parseClearSigned(blockLines(encodeClearSigned(lines, 'SHA512', signature)))
        expect(parsed).toMatchObject({ kind: 'signed', signed: { lines, signature } })
      }),
    )
  })

  it('read back dates and transports', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253402300799 }), (seconds) => {
        expect(parseUtcTime(formatUtcTime(seconds * 1000))).toBe(seconds * 1000)
      }),
    )
    const server = fc.record({ host: fc.domain(), port: fc.integer({ min: 1, max: 65535 }) })
    fc.assert(
      fc.property(fc.array(server, { minLength: 1, maxLength: 8 }), (servers) => {
        expect(parseTransport(encodeTransport({ kind: 'servers', servers }))).toEqual({
          kind: 'servers',
          servers,
        })
      }),
    )
  })

  it('never throw, whatever the text', async () => {
    const word = fc.constantFrom(
      'Type: data',
      'Type: message-announcement',
      'Type: acknowledgment',
      'Type: address-claim',
      'Type: key-announcement',
      'Date: 2026-01-05T00:00:00Z',
      'Date: 2026-02-30T00:00:00Z',
      'ProofOfWork: bd,0,1',
      'Data: 5',
      'Data: 0',
      'NextMessage',
      'NextClaim',
      '-----BEGIN PGP SIGNED MESSAGE-----',
      '-----BEGIN PGP SIGNATURE-----',
      '-----END PGP SIGNATURE-----',
      '',
      'Hash: SHA512',
      '- -----BEGIN PGP PUBLIC KEY BLOCK-----',
      '- -----END PGP PUBLIC KEY BLOCK-----',
      'Recipient: x',
      '\r',
      `MessageHash: ${recipient}`,
      `Recipient: ${recipient}`,
      'Mailbox: 0',
      `Keyid: ${recipient}`,
      'Address: a@b',
    )
    const line = fc.oneof(word, fc.string({ unit: 'binary' }))
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
        const text = lines.join('\n')
        splitOutboxBlock(text)
        const verdict = await validateBlock({ ...rules, key, text, payload: new Uint8Array(5) })
        mergeBlocks(text, verdict, rules)
      }),
      { numRuns: 500 },
    )
  })
})

/** A valid record of 8 bits for the one mailbox. */
function validRecord(ms: number, messageHash: string): string {
  const announcement = {
    date: formatUtcTime(ms),
    recipient,
    mailboxPrefix: '0',
    dataBlocks: [],
    messageHash: messageHash as MessageHash,
  }
  const input = announcementProofInput(announcement)
  const proofOfWork = solveProofOfWork({ bits: 8, matches: 2 }, input)
  expect(measureProofOfWork(proofOfWork, input).bits).toBeGreaterThanOrEqual(8)
  return encodeMessageAnnouncement({ ...announcement, proofOfWork })
}

async function store(stored: string | undefined, text: string): Promise<string | undefined> {
  const verdict = await validateBlock({ ...rules, key, text })
  const decision: MergeDecision = mergeBlocks(stored, verdict, rules)
  return decision.kind === 'stored' ? decision.text : stored
}

describe('merging', () => {
  const upload = fc.uniqueArray(fc.record({ ms: dateMs, hash: fc.integer({ min: 0, max: 3 }) }), {
    minLength: 1,
    maxLength: 6,
    selector: ({ ms, hash }) => `${ms} ${hash}`,
  })

  it('does not depend on the order of uploads, and repeating one changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(upload, fc.infiniteStream(fc.nat()), async (uploads, order) => {
        const texts = uploads.map(({ ms, hash }) => validRecord(ms, String(hash).repeat(40)))
        let forward: string | undefined
        for (const text of texts) forward = await store(forward, text)
        let shuffled: string | undefined
        const rest = [...texts]
        while (rest.length > 0) {
          const [text] = rest.splice((order.next().value as number) % rest.length, 1)
          shuffled = await store(shuffled, text!)
        }
        expect(shuffled).toBe(forward)
        for (const text of texts) expect(await store(forward, text)).toBe(forward)
        expect(await store(forward, forward!)).toBe(forward)
        expect(await store(undefined, joinMessageAnnouncements(texts))).toBe(forward)
      }),
      { numRuns: 30 },
    )
  })
})

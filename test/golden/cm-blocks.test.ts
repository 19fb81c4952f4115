import { describe, expect, it } from 'vitest'
import { parseAddressClaims, claimProofInput } from '../../src/cm/address-claim.ts'
import { splitOutboxBlock } from '../../src/cm/block-text.ts'
import { parseAcknowledgment, acknowledgmentProofInput } from '../../src/cm/acknowledgment.ts'
import { mailboxHash, parseKeyId } from '../../src/cm/ids.ts'
import { verifyKeyAnnouncement } from '../../src/cm/judge-signed.ts'
import { parseKeyAnnouncement } from '../../src/cm/key-announcement.ts'
import { parseMessageAnnouncements } from '../../src/cm/message-announcement.ts'
import { parseCertificate } from '../../src/cm/openpgp/certificates.ts'
import { verifyClearSigned } from '../../src/cm/openpgp/clear-signatures.ts'
import { measureProofOfWork } from '../../src/cm/proof-of-work.ts'
import { answerGet } from '../../src/cm/server/get-block.ts'
import { parseUtcTime } from '../../src/cm/utc-time.ts'
import { MemoryCmBlocks } from '../support/memory-cm-blocks.ts'
import { hasVector, vectorBytes, vectorJson } from '../support/vectors.ts'
import { recordedAcceptance, referenceBytes, runRow, type ValidateRow, vectorKeys } from './cm-vectors.ts'
import { SAFE_ANNOUNCEMENT_VERDICTS, SAFE_VERDICTS } from './safe-verdicts.ts'

const keys = vectorKeys()
const sources = { 'validate.json': 'cases', 'acks.json': 'cases', 'claims.json': 'merges' } as const
const rows = Object.entries(sources).flatMap(([file, list]) =>
  (vectorJson<Record<string, ValidateRow[]>>(file)[list] ?? []).map((row) => ({ id: `${file}/${row.name}`, row })),
)

function sortedParts(text: string, separator: RegExp): string[] {
  return text.split(separator).map((part) => part.trim()).sort()
}

describe('blocks as the reference judged them', () => {
  it.each(rows)('$id', async ({ id, row }) => {
    const ours = await runRow(row, keys)
    const safe = SAFE_VERDICTS[id]
    if (safe !== undefined) {
      expect(ours.outcome).toBe(safe.outcome)
      return
    }
    expect(ours.accepted).toBe(recordedAcceptance(row))
    if (ours.accepted && row.storedParts !== undefined) {
      const separator = /^(?:NextMessage|NextClaim)$/m
      expect(sortedParts(ours.text ?? '', separator)).toEqual(
        row.storedParts.map((part) => part.replaceAll('\r', '').trim()).sort(),
      )
    }
  })

  it('lists no deviation that is none', async () => {
    const listed = rows.filter(({ id }) => SAFE_VERDICTS[id] !== undefined)
    expect(listed).toHaveLength(Object.keys(SAFE_VERDICTS).length)
    for (const { row } of listed) {
      const ours = await runRow(row, keys)
      expect([row.name, ours.accepted]).toEqual([row.name, !recordedAcceptance(row)])
    }
  })
})

interface AnnouncementCheck {
  readonly clock: string
  readonly minBits: number
  readonly minMatches: number
  readonly result?: { readonly valid: boolean; readonly expired: boolean; readonly fingerprint: string }
}

interface AnnouncementEntry {
  readonly name: string
  readonly file: string
  readonly mailboxes?: string
  readonly senderProofOfWork?: string
  readonly bypassTokenAccepted?: string | null
  readonly checks?: readonly AnnouncementCheck[]
}

const announcements = vectorJson<{ readonly entries: readonly AnnouncementEntry[] }>('announcements.json').entries

describe('key announcements as the reference verified them', () => {
  const checks = announcements.flatMap((entry) =>
    (entry.checks ?? []).map((check, index) => ({ title: `${entry.name} ${index} at ${check.clock}`, entry, check })),
  )
  it.each(checks)('$title', async ({ entry, check }) => {
    const verified = await verifyKeyAnnouncement(vectorBytes(entry.file).toString('utf8'), {
      nowMs: parseUtcTime(check.clock) as number,
      demand: { bits: check.minBits, matches: check.minMatches },
    })
    const safe = SAFE_ANNOUNCEMENT_VERDICTS[entry.name]
    if (safe !== undefined) {
      expect(verified).toMatchObject({ kind: 'rejected', reason: safe.reason })
      return
    }
    expect(verified.kind === 'ok').toBe(check.result?.valid ?? false)
    if (verified.kind !== 'ok') return
    expect(verified.certificate.keyId).toBe(parseKeyId(check.result?.fingerprint ?? ''))
    expect(verified.isExpired).toBe(check.result?.expired)
  })

  it.each(announcements.filter((entry) => entry.mailboxes !== undefined))('$name reads as it was made', (entry) => {
    const parsed = parseKeyAnnouncement(vectorBytes(entry.file).toString('utf8'))
    if (parsed.kind !== 'ok') throw new Error(parsed.reason)
    expect(parsed.announcement.mailboxPrefixes.join(',')).toBe(entry.mailboxes)
    expect(parsed.announcement.bypassTokenAccepted ?? null).toBe(entry.bypassTokenAccepted ?? null)
    const demand = parsed.announcement.senderProofOfWork
    expect(`bd,${demand?.bits},${demand?.matches}`).toBe(entry.senderProofOfWork)
  })
})

interface ProofVector {
  readonly inputHex: string
  readonly string: string
  readonly bits: number
  readonly count: number
}

interface ClaimEntry {
  readonly name: string
  readonly file: string
  readonly keyId: string
  readonly address: string
  readonly proofOfWork: ProofVector
  readonly signature: { readonly valid: boolean; readonly fingerprint: string | null }
}

describe('address claims as the reference made them', () => {
  const { entries, lookups } = vectorJson<{
    readonly entries: readonly ClaimEntry[]
    readonly lookups: readonly { readonly block: string; readonly keyIds: readonly string[] }[]
  }>('claims.json')

  it.each(entries)('$name', async (entry) => {
    const [record] = parseAddressClaims(vectorBytes(entry.file).toString('utf8')) ?? []
    if (record === undefined || record.kind === 'malformed' || record.kind === 'forbidden-header') {
      throw new Error('unreadable')
    }
    const { claim } = record
    expect(claim).toMatchObject({ keyId: parseKeyId(entry.keyId), address: entry.address })
    expect(claimProofInput(claim).toString('hex')).toBe(entry.proofOfWork.inputHex)
    const { bits, count } = entry.proofOfWork
    expect(measureProofOfWork(entry.proofOfWork.string, claimProofInput(claim))).toEqual({ bits, matches: count })
    expect(record.kind === 'signed' || !entry.signature.valid).toBe(true)
    if (record.kind !== 'signed' || entry.signature.fingerprint === null) return
    const signer = parseKeyId(entry.signature.fingerprint)
    const armored = keys.get(signer as NonNullable<typeof signer>) ?? ''
    const nowMs = Date.UTC(2025, 0, 20, 9)
    const read = await parseCertificate(armored, nowMs)
    if (read.kind !== 'ok') throw new Error(read.reason)
    const verdict = await verifyClearSigned(record.signed, [read.certificate], nowMs)
    expect(verdict).toMatchObject({ kind: 'good', keyId: signer })
  })

  it.each(lookups)('$block names its key ids', (lookup) => {
    const records = parseAddressClaims(vectorBytes(lookup.block).toString('utf8')) ?? []
    const keyIds = records.flatMap((record) => ('claim' in record ? [record.claim.keyId?.toUpperCase()] : []))
    expect(keyIds.sort()).toEqual([...lookup.keyIds].sort())
  })
})

describe('acknowledgments as the reference made them', () => {
  const { entries } = vectorJson<{
    readonly entries: readonly { name: string; file: string; transport: string; response: string; proofOfWork: ProofVector }[]
  }>('acks.json')

  it.each(entries)('$name', (entry) => {
    const outbox = splitOutboxBlock(vectorBytes(entry.file).toString('utf8'))
    expect(outbox.postTo).toEqual([entry.transport])
    const { acknowledgment } = parseAcknowledgment(outbox.body)
    expect(acknowledgment.secret).toBe(entry.response)
    const input = acknowledgmentProofInput(acknowledgment)
    expect(input.toString('hex')).toBe(entry.proofOfWork.inputHex)
    expect(measureProofOfWork(acknowledgment.proofOfWork ?? '', input).bits).toBe(entry.proofOfWork.bits)
  })
})

describe('SINCE as the reference filtered it', () => {
  const { cases } = vectorJson<{
    readonly cases: readonly { name: string; block: string; since: string; result?: string }[]
  }>('since.json')
  // What has no Date is never stored here; keys and data are not filtered (dialog/cm/get-since).
  const mailboxes = cases.filter(({ name, block }) => /^Type: message-ann/.test(block) && name !== 'no-date')
  const separator = /^NextMessage\r?\n/m

  it.each(mailboxes)('$name', async ({ block, since, result = '' }) => {
    const parsed = parseMessageAnnouncements(block)
    if (parsed.kind !== 'ok') throw new Error(parsed.kind)
    const { announcement } = parsed.records[0]!
    const key = mailboxHash('0', announcement.recipient!)
    const records = parsed.records.map(({ announcement: { messageHash, date }, text }) => ({
      identity: messageHash,
      dateMs: parseUtcTime(date ?? '') ?? 0,
      text,
    }))
    const blocks = new MemoryCmBlocks()
    await blocks.store({ type: 'message-announcement', key, records })
    const user = { userId: announcement.recipient!, keyId: announcement.recipient }
    let answer = ''
    const log = { debug: () => undefined, error: () => expect.unreachable() }
    await answerGet({ blocks, log }, { key, user, since }, async (bytes) => {
      answer += Buffer.from(bytes).toString()
    })
    // The reference raises when the last line has no LF; we answer as if it had one. Our order is that of the dates.
    const expected = (result === 'same' ? block : result).split(separator).sort()
    const given = answer.replace(/EndBlock\r\n$/, '').replaceAll('\r', '').split(separator)
    if (result !== '') expect(given).toEqual(expected)
    else expect(answer).toMatch(block.endsWith('\n') ? /^NOT FOUND\r\n$/ : /^NextMessage\r$/m)
  })
})

describe('vectors in the tree', () => {
  it('has every file the tables name', () => {
    expect(rows.every(({ row }) => !('file' in row.new) || hasVector(row.new.file))).toBe(true)
    expect(referenceBytes({ text: 'x' }).toString()).toBe('x')
  })
})

import { parseAcknowledgment } from './acknowledgment.ts'
import { joinAddressClaims, parseAddressClaims } from './address-claim.ts'
import type { BlockRules, BlockVerdict, RecordVerdict } from './block-verdict.ts'
import { parseDataBlockHeader } from './data-block.ts'
import type { BlockKey } from './ids.ts'
import { judgeClaimRecord } from './judge-signed.ts'
import { judgeMessageRecord } from './judge-unsigned.ts'
import { parseKeyAnnouncement } from './key-announcement.ts'
import { joinMessageAnnouncements, parseMessageAnnouncements } from './message-announcement.ts'
import { type BlockType, MAX_SLOT_RECORDS, MAX_SLOT_TEXT_BYTES, replaces } from './server/port.ts'
import { parseUtcTime } from './utc-time.ts'

/**
 * What a valid upload makes of a stored block as text: synchronous and pure (CM wire 2.2). Our server keeps records
 * one by one and decides by the same `replaces`; this is for who has a block in a file.
 */

/** Nothing changed, or the block that now stands under (type, key). */
export type MergeDecision =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'stored'; readonly text: string }

type MultiRecordType = 'message-announcement' | 'address-claim'

/** The date by which a stored single-record block is older or newer; undefined when it has none worth keeping. */
function storedDateMs(type: BlockType, stored: string): number | undefined {
  if (type === 'data') return parseUtcTime(parseDataBlockHeader(stored).header.date ?? '')
  if (type === 'acknowledgment') return parseUtcTime(parseAcknowledgment(stored).acknowledgment.date ?? '')
  const parsed = parseKeyAnnouncement(stored)
  return parsed.kind === 'ok' ? parsed.announcement.dateMs : undefined
}

function mergeSingle(stored: string | undefined, type: BlockType, record: RecordVerdict): MergeDecision {
  if (stored === record.text) return { kind: 'unchanged' }
  const dateMs = stored === undefined ? undefined : storedDateMs(type, stored)
  if (!replaces({ dateMs: record.dateMs ?? 0 }, dateMs)) return { kind: 'rejected', reason: 'not-newer' }
  return { kind: 'stored', text: record.text }
}

/** The stored records that are still good now; the reference re-validates at each merge too (CM wire 2.4). */
function storedRecords(
  type: MultiRecordType,
  key: BlockKey,
  stored: { readonly text: string; readonly rules: BlockRules },
): readonly RecordVerdict[] {
  if (type === 'address-claim') {
    const claims = parseAddressClaims(stored.text) ?? []
    return claims.map((record) => judgeClaimRecord(key, record, { rules: stored.rules, poster: undefined }))
  }
  const parsed = parseMessageAnnouncements(stored.text)
  if (parsed.kind !== 'ok') return []
  return parsed.records.map((record) => judgeMessageRecord(key, record, stored.rules))
}

/** By date, then by identity: the reference's order is arbitrary, ours does not depend on who came first. */
function inOrder(a: RecordVerdict, b: RecordVerdict): number {
  return (a.dateMs ?? 0) - (b.dateMs ?? 0) || (a.identity < b.identity ? -1 : 1)
}

function mergeRecords(
  stored: string | undefined,
  verdict: BlockVerdict & { readonly type: MultiRecordType },
  rules: BlockRules,
): MergeDecision {
  const kept = new Map<string, RecordVerdict>()
  const old = stored === undefined ? [] : storedRecords(verdict.type, verdict.key, { text: stored, rules })
  for (const record of [...old, ...verdict.records]) {
    if (record.reason !== undefined) continue
    const known = kept.get(record.identity)
    if (replaces({ dateMs: record.dateMs ?? 0 }, known && (known.dateMs ?? 0)))
      kept.set(record.identity, record)
  }
  const texts = [...kept.values()].sort(inOrder).map((record) => record.text)
  const join = verdict.type === 'address-claim' ? joinAddressClaims : joinMessageAnnouncements
  const text = join(texts)
  if (kept.size > MAX_SLOT_RECORDS || Buffer.byteLength(text) > MAX_SLOT_TEXT_BYTES) {
    return { kind: 'rejected', reason: 'too-large' }
  }
  return text === stored ? { kind: 'unchanged' } : { kind: 'stored', text }
}

/**
 * Merges a validated block into what its slot holds. Single-record types are replaced by a strictly newer Date,
 * records of the others one by one; expired stored records vanish (CM wire 2.2, 2.4, 4). For data, texts are headers.
 * Give the same rules as to `validateBlock`; the decision's reason is one of REJECT_REASONS.
 */
export function mergeBlocks(
  stored: string | undefined,
  verdict: BlockVerdict,
  rules: BlockRules,
): MergeDecision {
  const { type } = verdict
  if (verdict.reason !== undefined || type === undefined) {
    return { kind: 'rejected', reason: verdict.reason ?? 'type' }
  }
  if (type === 'message-announcement' || type === 'address-claim') {
    return mergeRecords(stored, { ...verdict, type }, rules)
  }
  const record = verdict.records[0]
  return record === undefined ? { kind: 'rejected', reason: 'malformed' } : mergeSingle(stored, type, record)
}

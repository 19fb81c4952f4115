import type { Uid } from './port.ts'

/** A message sequence number of one session (RFC 9051 2.3.1.2), 1 to the number of messages. */
export type SeqNum = number

/** `*` stays as it is until it is known what it means. */
export type SeqNumber = number | '*'

/** sequence-set of RFC 9051 9: numbers or UIDs; both ends of a range are inclusive and in any order. */
export type SequenceSet = readonly { readonly from: SeqNumber; readonly to: SeqNumber }[]

/** A range with numbers, `low <= high`. */
export interface NumberRange {
  readonly low: number
  readonly high: number
}

/** Replaces `*` by the largest number in use, orders, sorts and joins: disjoint ranges, ascending. */
export function normalizeSet(set: SequenceSet, largest: number): readonly NumberRange[] {
  const ranges = set.map(({ from, to }) => {
    const first = from === '*' ? largest : from
    const second = to === '*' ? largest : to
    return { low: Math.min(first, second), high: Math.max(first, second) }
  })
  ranges.sort((a, b) => a.low - b.low)
  const joined: { low: number; high: number }[] = []
  for (const range of ranges) {
    const last = joined.at(-1)
    if (last !== undefined && range.low <= last.high + 1) last.high = Math.max(last.high, range.high)
    else joined.push({ ...range })
  }
  return joined
}

/** The ranges that cover exactly these numbers, in the order given: `3,4,5,9` becomes `3:5,9`. For uid-set (RFC 4315 4). */
export function formatUidSet(uids: readonly Uid[]): string {
  const ranges: { low: number; high: number }[] = []
  for (const uid of uids) {
    const last = ranges.at(-1)
    if (last !== undefined && uid === last.high + 1) last.high = uid
    else ranges.push({ low: uid, high: uid })
  }
  return ranges.map(({ low, high }) => (low === high ? `${low}` : `${low}:${high}`)).join(',')
}

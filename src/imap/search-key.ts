import { unreachable } from '../base/unreachable.ts'
import type { Flag } from '../mail/flags.ts'
import type { CalendarDay } from './parse-date.ts'
import type { SequenceSet } from './sequence-set.ts'

/** What a SEARCH asks about one message, without AND, OR and NOT. Strings are Unicode, ready for `foldCase`d comparison. */
export type SearchLeaf =
  | { readonly kind: 'all' }
  | { readonly kind: 'sequence'; readonly set: SequenceSet }
  | { readonly kind: 'uid'; readonly set: SequenceSet }
  | { readonly kind: 'flag'; readonly flag: Flag }
  /** `\Recent`: no message ever has it here (see the module's README). */
  | { readonly kind: 'recent' }
  | { readonly kind: 'larger' | 'smaller'; readonly size: number }
  /** INTERNALDATE or the Date field, without time and zone. */
  | {
      readonly kind: 'internal-date' | 'sent-date'
      readonly is: DateRelation
      readonly day: CalendarDay
    }
  | { readonly kind: 'header'; readonly field: string; readonly needle: string }
  /** `text` looks into the header too. */
  | { readonly kind: 'body' | 'text'; readonly needle: string }

/** `since`: on that day or later. */
export type DateRelation = 'before' | 'on' | 'since'

/** search-key of RFC 9051 9 as a tree. */
export type SearchKey =
  | SearchLeaf
  | { readonly kind: 'and'; readonly keys: readonly SearchKey[] }
  | { readonly kind: 'or'; readonly keys: readonly SearchKey[] }
  | { readonly kind: 'not'; readonly key: SearchKey }

/** True, false, or undefined while it takes a costlier look to tell. */
export type Truth = boolean | undefined

/** What the tree says when its leaves say that. Undefined only where an undefined leaf decides. */
export function evaluateKey(key: SearchKey, leafTruth: (leaf: SearchLeaf) => Truth): Truth {
  switch (key.kind) {
    case 'and':
      return join(key.keys, leafTruth, false)
    case 'or':
      return join(key.keys, leafTruth, true)
    case 'not':
      return negate(evaluateKey(key.key, leafTruth))
    case 'all':
    case 'sequence':
    case 'uid':
    case 'flag':
    case 'recent':
    case 'larger':
    case 'smaller':
    case 'internal-date':
    case 'sent-date':
    case 'header':
    case 'body':
    case 'text':
      return leafTruth(key)
    default:
      return unreachable(key)
  }
}

/** AND ends at the first false, OR at the first true; what is open then does not matter. */
function join(keys: readonly SearchKey[], leafTruth: (leaf: SearchLeaf) => Truth, deciding: boolean): Truth {
  let result: Truth = !deciding
  for (const key of keys) {
    const truth = evaluateKey(key, leafTruth)
    if (truth === deciding) return deciding
    if (truth === undefined) result = undefined
  }
  return result
}

function negate(truth: Truth): Truth {
  return truth === undefined ? undefined : !truth
}

/** Text as SEARCH compares it: composed, without case. */
export function foldCase(text: string): string {
  return text.normalize('NFC').toLowerCase()
}

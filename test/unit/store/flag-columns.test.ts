import { describe, expect, it } from 'vitest'
import {
  changeFlags,
  DELETED_BIT,
  MAX_KEYWORDS_PER_MESSAGE,
  toFlagColumns,
  toFlags,
} from '../../../src/store/flag-columns.ts'

function roundTrip(...flags: string[]): string[] {
  const { systemFlags, keywords } = toFlagColumns(flags)
  return toFlags(systemFlags, keywords.join(' '))
}

describe('flags as columns', () => {
  it('come back in our spelling and order, doubles dropped', () => {
    expect(roundTrip('$Junk', '\\SEEN', '\\answered', '$junk', '\\Seen')).toEqual([
      '\\Answered',
      '\\Seen',
      '$Junk',
    ])
  })

  it('leave out \\Recent, unknown system flags and what is no atom', () => {
    expect(roundTrip('\\Recent', '\\Foo', 'a b', 'ü', '', 'a"b', 'a]b', 'x'.repeat(256), 'ok')).toEqual([
      'ok',
    ])
  })

  it('keep a bounded number of keywords', () => {
    const many = Array.from({ length: MAX_KEYWORDS_PER_MESSAGE + 5 }, (_, index) => `k${index}`)
    expect(roundTrip(...many)).toHaveLength(MAX_KEYWORDS_PER_MESSAGE)
    const full = toFlagColumns(many)
    expect(changeFlags(full, 'add', toFlagColumns(['one-more'])).keywords).toHaveLength(
      MAX_KEYWORDS_PER_MESSAGE,
    )
  })

  it('have \\Deleted where the schema counts it', () => {
    expect(toFlagColumns(['\\Deleted']).systemFlags).toBe(DELETED_BIT)
    expect(toFlagColumns(['\\Seen']).systemFlags).toBe(8)
  })

  it('change by replace, add and remove without regard to case', () => {
    const current = toFlagColumns(['\\Seen', 'Red'])
    expect(changeFlags(current, 'add', toFlagColumns(['RED', 'blue'])).keywords).toEqual(['Red', 'blue'])
    expect(changeFlags(current, 'remove', toFlagColumns(['rED', '\\flagged']))).toEqual(
      toFlagColumns(['\\Seen']),
    )
    expect(changeFlags(current, 'replace', toFlagColumns([]))).toEqual(toFlagColumns([]))
  })
})

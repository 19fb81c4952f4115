import { describe, expect, it } from 'vitest'
import { canonicalMailboxName, matchesListPattern, superiorNames } from '../../../src/imap/mailbox-name.ts'

describe('LIST patterns', () => {
  it.each([
    ['a', 'a', true],
    ['a', 'A', false],
    ['a/b', '*', true],
    ['a/b', '%', false],
    ['a/b', '%/%', true],
    ['a/b/c', 'a/*', true],
    ['a/b/c', 'a/%', false],
    ['a/b/c', '*c', true],
    ['a/b/c', '%c', false],
    ['', '*', true],
    ['INBOX', 'inbox', true],
    ['INBOX', 'In%', true],
    ['INBOX/x', 'inbox/%', true],
    ['x/INBOX', 'x/inbox', false],
    ['ä', '%', true],
  ])('%s against %s: %s', (name, pattern, expected) => {
    expect(matchesListPattern(name, pattern)).toBe(expected)
  })

  it('takes no longer for many wildcards', () => {
    expect(matchesListPattern('a'.repeat(1000), `${'*a'.repeat(200)}b`)).toBe(false)
  })
})

describe('mailbox names', () => {
  it('INBOX has one spelling, also above others, and characters are composed', () => {
    expect(canonicalMailboxName('iNbOx')).toBe('INBOX')
    expect(canonicalMailboxName('inbox/a')).toBe('INBOX/a')
    expect(canonicalMailboxName('inboxes')).toBe('inboxes')
    expect(canonicalMailboxName('u\u0308')).toBe('\u00fc')
  })

  it('has names above it', () => {
    expect(superiorNames('a/b/c')).toEqual(['a', 'a/b'])
    expect(superiorNames('a')).toEqual([])
  })
})

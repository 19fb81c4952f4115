import { describe, expect, it } from 'vitest'
import {
  isBelow,
  isDefaultMailbox,
  normalizeName,
  parentNames,
  validateName,
} from '../../../src/store/mailbox-names.ts'

describe('mailbox names', () => {
  it.each([
    ['inbox', 'INBOX'],
    ['InBox/Work', 'INBOX/Work'],
    ['work/inbox', 'work/inbox'],
    ['inboxes', 'inboxes'],
    ['a/', 'a'],
    ['Entwu\u0308rfe', 'Entw\u00fcrfe'],
    ['50% off * & more', '50% off * & more'],
  ])('%j is stored as %j', (given, stored) => {
    expect(validateName(given)).toEqual({ kind: 'ok', name: stored })
    expect(normalizeName(stored)).toBe(stored)
  })

  it.each([
    '',
    '/',
    '//',
    '/a',
    'a//b',
    'a//',
    'a\r\nb',
    'a\u007f',
    'a\u0085',
    'a\u2028b',
    '\udc00',
    'ü'.repeat(501),
    Array.from({ length: 21 }, () => 'a').join('/'),
  ])('%j cannot be a name', (given) => {
    expect(validateName(given)).toMatchObject({ kind: 'refused', reason: expect.any(String) })
  })

  it('know their parents and what lies below', () => {
    expect(parentNames('a/b/c')).toEqual(['a', 'a/b'])
    expect(parentNames('a')).toEqual([])
    expect(isBelow('a/b', 'a')).toBe(true)
    expect(isBelow('ab', 'a')).toBe(false)
    expect(isBelow('a', 'a')).toBe(false)
    expect(isDefaultMailbox('Outbox')).toBe(true)
    expect(isDefaultMailbox('outbox')).toBe(false)
  })
})

import { describe, expect, it } from 'vitest'
import { pinOfDisplayName } from '../../../../src/bridge/pins.ts'
import {
  asciiAddress,
  cleanName,
  encodeParty,
  showParty,
  showSender,
} from '../../../../src/bridge/render/display-name.ts'
import { parseKeyId } from '../../../../src/cm/ids.ts'

const KEY = parseKeyId('2'.repeat(40))!
const FAKE = 'a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0'
const party = (userId: string | undefined, headerText = '') => ({ keyId: KEY, userId, headerText })
const from = (userId: string) => encodeParty(party(userId), { fingerprint: true })

describe('cleanName', () => {
  it.each([
    ['a whole fingerprint', `Bob ${FAKE}`, 'Bob …'],
    ['upper case', `Bob ${FAKE.toUpperCase()}`, 'Bob …'],
    ['spaces as gpg prints them', `Bob ${FAKE.replace(/(.{4})/g, '$1 ')} x`, 'Bob … x'],
    ['colons', `Bob ${FAKE.replace(/(.{2})/g, '$1:')}`, 'Bob …:'],
    ['dashes of all kinds', `Bob ${FAKE.replace(/(.{8})/g, '$1\u2013')}`, 'Bob …–'],
    ['zero-width spaces', `Bob ${FAKE.replace(/(.)/g, '$1\u200B')}`, 'Bob …'],
    ['soft hyphens', `Bob ${FAKE.replace(/(.)/g, '$1\u00AD')}`, 'Bob …'],
    ['direction marks', `Bob ${FAKE.replace(/(.)/g, '$1\u200E')}`, 'Bob …'],
    ['full-width digits', `Bob ${'２'.repeat(40)}`, 'Bob …'],
    ['mathematical digits', `Bob ${'\u{1D7D0}'.repeat(40)}`, 'Bob …'],
    ['Cyrillic look-alikes', `Bob ${'\u0430\u0435\u0441\u0412'.repeat(10)}`, 'Bob …'],
    ['Arabic digits', `Bob ${'\u0662'.repeat(40)}`, 'Bob …'],
    ['16 digits', 'Bob 0123456789abcdef', 'Bob …'],
    ['two runs', `${FAKE} Bob ${FAKE}`, '… Bob …'],
  ])('takes away %s', (_what, name, shown) => {
    expect(cleanName(name)).toBe(shown)
  })

  it.each([
    ['15 digits', 'Jon 0123456789abcde', 'Jon 0123456789abcde'],
    ['an ordinary name', 'Dee Ade (home)', 'Dee Ade (home)'],
    ['a phone number', 'Bob +49 30 1234567', 'Bob +49 30 1234567'],
    ['a family of emoji', '👨‍👩‍👧 Bob', '👨‍👩‍👧 Bob'],
    ['a CRLF', 'Bob\r\nBcc: x@example.com', 'Bob Bcc: x@example.com'],
    ['U+2028 and U+2029', 'Bob\u2028X\u2029Y', 'Bob X Y'],
    ['a direction override', 'Bob \u202Egpj.exe', 'Bob gpj.exe'],
    ['NUL', 'Bob\0', 'Bob'],
    ['a second address', 'Bob <mallory@example.com>', 'Bob mallory@example.com'],
    ['a lone surrogate', 'Bob\uD800', 'Bob\uFFFD'],
  ])('cleans or keeps %s', (_what, name, shown) => {
    expect(cleanName(name)).toBe(shown)
  })

  it('cuts a name that would not fit a line', () => {
    expect(Buffer.byteLength(cleanName('ž'.repeat(5000)))).toBeLessThanOrEqual(160)
  })
})

describe('From', () => {
  it('ends in our fingerprint, which a reply then pins', () => {
    expect(from('Bob Example <bob@example.net>')).toBe(`"Bob Example ${KEY}" <bob@example.net>`)
    expect(pinOfDisplayName(`Bob Example ${KEY}`)).toBe(KEY)
  })

  it('keeps the fingerprint readable behind a name beyond ASCII', () => {
    expect(from('Žofie <zofie@example.net>')).toBe(`=?UTF-8?B?xb1vZmll?= ${KEY} <zofie@example.net>`)
  })

  it.each([
    ['a bare address', 'bareaddr@example.net', `"${KEY}" <bareaddr@example.net>`],
    [
      'an address in the comment',
      'Two (mallory@example.com) <twoaddr@example.net>',
      `"Two (mallory@example.com) ${KEY}" <twoaddr@example.net>`,
    ],
    ['no address', 'Just A Name', `"Just A Name ${KEY}" <${KEY}@cm.invalid>`],
    [
      'a line separator',
      'Eve\u2028X <eve@example.net>',
      `"Eve X eve@example.net ${KEY}" <${KEY}@cm.invalid>`,
    ],
    ['an IDN domain', 'Ann <ann@bücher.example>', `"Ann ${KEY}" <ann@xn--bcher-kva.example>`],
    ['a quote', 'Bob "x" \\ y <bob@example.net>', `"Bob \\"x\\" \\\\ y ${KEY}" <bob@example.net>`],
    ['another key’s fingerprint', `Bob ${FAKE} <bob@example.net>`, `"Bob … ${KEY}" <bob@example.net>`],
  ])('is shown for a user id with %s (case K09)', (_what, userId, field) => {
    const isAscii = /^[ -~]*$/.test(field)
    const shown = from(userId)
    if (isAscii) expect(shown).toBe(field)
    else expect(shown).toContain(` ${KEY} <bob@example.net>`)
  })

  it('has an ASCII address even when the local part is not', () => {
    const shown = showParty(party('Ann <änn@example.net>'))
    expect(shown).toEqual({ name: 'Ann (änn@example.net)', address: `${KEY}@cm.invalid` })
  })

  it('uses the header’s text only when the key is not known', () => {
    expect(showParty(party('Bob <bob@example.net>', 'Alice <alice@example.org>')).address).toBe(
      'bob@example.net',
    )
    expect(showParty(party(undefined, 'Alice <alice@example.org>')).address).toBe('alice@example.org')
  })
})

describe('asciiAddress', () => {
  it('refuses what would end the angle brackets or start another address', () => {
    expect(asciiAddress('a,b@example.net')).toBeUndefined()
    expect(asciiAddress('"a"@example.net')).toBeUndefined()
    expect(asciiAddress('a@b@example.net')).toBe('a@b@example.net')
  })
})

describe('From of a key that says something else of itself', () => {
  const LIST = 'Test List <list@example.net>'
  const shown = (userId: string | undefined, text: string) =>
    encodeParty(party(userId, text), { fingerprint: true, showsText: true })

  it.each([
    [
      'a list that names the author',
      LIST,
      `Ann Example via ${LIST}`,
      `"Ann Example via Test List ${KEY}" <list@example.net>`,
    ],
    ['another name', LIST, 'Payroll <list@example.net>', `"Test List (Payroll) ${KEY}" <list@example.net>`],
    [
      'another address',
      LIST,
      'Test List <ceo@example.com>',
      `"Test List (Test List ceo@example.com) ${KEY}" <list@example.net>`,
    ],
    ['no address', LIST, 'The Robot', `"Test List (The Robot) ${KEY}" <list@example.net>`],
    ['a fingerprint', LIST, `Ann ${FAKE} via ${LIST}`, `"Ann … via Test List`],
    ['the same', LIST, LIST, `"Test List ${KEY}" <list@example.net>`],
    [
      'the same without its comment',
      'Bob (work) <bob@example.net>',
      'Bob <Bob@example.net>',
      `"Bob (work) ${KEY}" <bob@example.net>`,
    ],
    ['nothing', LIST, '', `"Test List ${KEY}" <list@example.net>`],
  ])('%s', (_what, userId, text, expected) => {
    const field = shown(userId, text)
    if (text.includes(FAKE)) expect(field).not.toContain(FAKE)
    else expect(field).toBe(expected)
    expect(field).toContain(KEY)
  })

  it('keeps the key’s own name in front when the text is long', () => {
    const { name } = showSender(party(LIST, `${'x'.repeat(300)} via ${LIST}`))
    expect(name).toMatch(/^Test List \(x{50}/)
  })

  it('is not shown where nothing verified', () => {
    const plain = encodeParty(party(LIST, `Ann via ${LIST}`), { fingerprint: true })
    expect(plain).toBe(`"Test List ${KEY}" <list@example.net>`)
  })
})

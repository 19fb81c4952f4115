import { describe, expect, it } from 'vitest'
import { parseRecipientAddress, pinFor, pinOfDisplayName } from '../../../src/bridge/pins.ts'

const ONE = '1'.repeat(40)
const TWO = '2'.repeat(40)
const bob = parseRecipientAddress('bob@example.net')

describe('parseRecipientAddress', () => {
  it.each([
    ['bob@example.net', { kind: 'address', address: 'bob@example.net', pin: null }],
    ['bob@example.net.', { kind: 'address', address: 'bob@example.net', pin: null }],
    [`bob+cm-${ONE}@example.net`, { kind: 'address', address: 'bob@example.net', pin: ONE }],
    [`b+x+cm-${'A'.repeat(40)}@e.net`, { kind: 'address', address: 'b+x@e.net', pin: 'a'.repeat(40) }],
    [`bob+cm-${ONE}1@example.net`, { kind: 'address', address: `bob+cm-${ONE}1@example.net`, pin: null }],
    [`${TWO}@cm.invalid`, { kind: 'key', pin: TWO }],
    [`${TWO}@CM.Invalid`, { kind: 'key', pin: TWO }],
  ])('reads %s', (text, expected) => {
    expect(parseRecipientAddress(text)).toEqual(expected)
  })

  it.each([
    'bob',
    '@example.net',
    'bob@',
    'bob@localhost',
    'bob@[192.0.2.1]',
    'bob@cm.invalid',
    `${'x'.repeat(250)}@e.net`,
  ])('calls %s unreachable', (text) => {
    expect(parseRecipientAddress(text).kind).toBe('unreachable')
  })
})

describe('pinOfDisplayName', () => {
  it.each([
    [`Bob Example ${ONE}`, ONE],
    [ONE, ONE],
    [`Bob ${ONE}  `, ONE],
    [`${ONE} Bob`, null],
    [`Bob ${ONE}1`, null],
    [`Bob x${ONE}`, ONE],
    [`Bob f${ONE}`, null],
    ['Bob', null],
  ])('finds in %s', (name, pin) => {
    expect(pinOfDisplayName(name)).toBe(pin)
  })
})

describe('pinFor', () => {
  it('takes the pin of the header mailbox with that address only', () => {
    const mailboxes = [
      { displayName: `Carol ${TWO}`, address: 'carol@example.net' },
      { displayName: `Bob ${ONE}`, address: 'BOB@example.net' },
    ]
    expect(pinFor(bob, mailboxes)).toEqual({ kind: 'pin', pin: ONE })
  })

  it('refuses two different pins for one address', () => {
    const mailboxes = [
      { displayName: `Bob ${ONE}`, address: 'bob@example.net' },
      { displayName: `Bob ${TWO}`, address: 'bob@example.net' },
    ]
    expect(pinFor(bob, mailboxes).kind).toBe('conflict')
  })

  it('refuses when header and address form disagree', () => {
    const recipient = parseRecipientAddress(`bob+cm-${TWO}@example.net`)
    const outcome = pinFor(recipient, [{ displayName: `Bob ${ONE}`, address: 'bob@example.net' }])
    expect(outcome).toEqual({ kind: 'conflict', pins: [TWO, ONE] })
  })

  it('accepts the same pin said twice', () => {
    const mailboxes = [{ displayName: `Bob ${ONE}`, address: `bob+cm-${ONE}@example.net` }]
    expect(pinFor(bob, mailboxes)).toEqual({ kind: 'pin', pin: ONE })
  })
})

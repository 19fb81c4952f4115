import { describe, expect, it } from 'vitest'
import type { ContactView } from '../../../src/bridge/read-contacts.ts'
import { contactLine, contactLines } from '../../../src/cli/contact-lines.ts'
import type { KeyId } from '../../../src/cm/ids.ts'

const BOB = '2'.repeat(40) as KeyId
const EVE = '3'.repeat(40) as KeyId
const DAY_MS = Date.UTC(2026, 10, 25)

function contact(given: Partial<ContactView>): ContactView {
  return {
    keyId: BOB,
    userId: 'Bob <bob@example.net>',
    addresses: [{ address: 'bob@example.net', vouchedMs: null }],
    trust: 'known',
    rivals: [],
    firstSeenMs: DAY_MS,
    fetchedMs: DAY_MS,
    announcedMs: DAY_MS,
    expiresMs: null,
    ...given,
  }
}

describe('a contact for people', () => {
  it('shows its fingerprint in groups and as it is copied, and how to verify it', () => {
    const lines = contactLines(contact({}))
    expect(lines).toContain('fingerprint 2222 2222 2222 2222 2222 2222 2222 2222 2222 2222')
    expect(lines).toContain(`            ${BOB}`)
    expect(lines.at(-1)).toBe(`            cmbridge contact verify ${BOB}`)
    expect(contactLines(contact({ trust: 'verified' })).join('\n')).not.toContain('contact verify')
  })

  it('names every rival and what to do about it, but not to block one’s own key', () => {
    const rival = { address: 'bob@example.net', keyId: EVE, userId: 'Bob', isOwn: false, isVerified: false }
    const text = contactLines(contact({ trust: 'collision', rivals: [rival] })).join('\n')
    expect(text).toContain('collision   bob@example.net is claimed by another key too:')
    expect(text).toContain(`cmbridge contact block ${EVE}`)
    const own = { ...rival, isOwn: true }
    const ofOwn = contactLines(contact({ trust: 'collision', rivals: [own] })).join('\n')
    expect(ofOwn).not.toContain('contact block')
  })

  it('says where mail to the plain address goes: nowhere, or to the rival that was verified', () => {
    const rival = { address: 'bob@example.net', keyId: EVE, userId: 'Bob', isOwn: false, isVerified: false }
    const open = contactLines(contact({ trust: 'collision', rivals: [rival] })).join('\n')
    expect(open).toContain('mail to the plain address is refused')
    const settled = { ...rival, isVerified: true }
    const text = contactLines(contact({ trust: 'collision', rivals: [settled] })).join('\n')
    expect(text).toContain('mail to the plain address goes to the other key, which you verified')
    expect(text).not.toContain('is refused')
    expect(text).not.toContain('contact block')
  })

  it('says whose domain vouched, and since when', () => {
    const addresses = [{ address: 'bob@example.net', vouchedMs: DAY_MS }]
    const text = contactLines(contact({ trust: 'domain', addresses })).join('\n')
    expect(text).toContain('bob@example.net   (its domain vouched for this key on 2026-11-25)')
  })

  it('lets no user id steer a terminal', () => {
    expect(contactLine(contact({ userId: 'Bob\u001b[31m \u202eevil' }))).toBe(
      `known      ${BOB}  Bob?[31m ?evil`,
    )
  })
})

import { describe, expect, it } from 'vitest'
import { bindAddress, ownTrust, trustWord } from '../../../src/bridge/trust.ts'
import type { KeyId } from '../../../src/cm/ids.ts'
import type { StoredTrust } from '../../../src/store/contact-operations.ts'

const vouchedFor = (...vouchedAddresses: readonly string[]) => ({
  userId: 'Bob <bob@example.net>',
  vouchedAddresses,
})

describe('ownTrust', () => {
  it('is domain when the address that is shown is the one its domain vouched for', () => {
    expect(ownTrust('known', vouchedFor('bob@example.net'))).toBe('domain')
    expect(ownTrust(undefined, vouchedFor('bob@example.net'))).toBe('domain')
  })

  it('is not domain for another address of the key', () => {
    expect(ownTrust('new', vouchedFor('bob@elsewhere.example'))).toBe('new')
    expect(ownTrust('known', vouchedFor())).toBe('known')
  })

  it.each(['verified', 'signed', 'blocked'] as const)('leaves %s alone', (stored) => {
    expect(ownTrust(stored, vouchedFor('bob@example.net'))).toBe(stored)
  })
})

describe('a key its domain vouches for and a rival', () => {
  const contact = (keyId: string, trust: StoredTrust) => ({
    keyId: keyId as KeyId,
    trust,
    userId: '',
    announcement: '',
    announcedMs: 0,
    fetchedMs: 0,
    firstSeenMs: 0,
    expiresMs: null,
  })

  it('collide until the owner decides', () => {
    expect(trustWord('domain', true)).toBe('collision')
    expect(bindAddress([contact('a', 'known'), contact('b', 'new')]).kind).toBe('collision')
    expect(bindAddress([contact('a', 'verified'), contact('b', 'new')])).toMatchObject({
      kind: 'one',
      contact: { keyId: 'a' },
    })
    expect(bindAddress([contact('a', 'known'), contact('b', 'blocked')])).toMatchObject({ kind: 'one' })
  })
})

import { describe, expect, it } from 'vitest'
import {
  addressLookupKeys,
  addressOfUserId,
  asciiLowerCase,
  claimAddress,
  isAddress,
} from '../../../src/cm/address.ts'
import { addressHash, mailboxHash, parseKeyId } from '../../../src/cm/ids.ts'
import { parseMailboxPrefixes } from '../../../src/cm/key-announcement.ts'
import { vectorJson } from '../../support/vectors.ts'

interface AddressRow {
  readonly userId: string
  readonly input: string
  readonly claimAddress: string | null
  readonly claimHash: string | null
  readonly lookupHash: string
}

const { cases } = vectorJson<{ readonly cases: readonly AddressRow[] }>('address.json')

describe('claimAddress', () => {
  it.each(cases.filter((row) => row.claimAddress !== null))('$userId', (row) => {
    const lowered = claimAddress(row.input)
    expect(lowered).toBe(row.claimAddress)
    expect(addressHash(lowered)).toBe(row.claimHash)
    expect(addressHash(asciiLowerCase(row.input))).toBe(row.lookupHash)
    expect(addressLookupKeys(row.input)[0]).toBe(row.claimHash)
    expect(addressLookupKeys(row.input)).toContain(row.lookupHash)
  })

  it.each([
    ['vector@example.org', '9d07d16341e0a3be78479a8445d1ffc5cc9a1173'],
    ['jürgen.test@example.org', '66b79cfe053f0242532dc36de9bfeb9d7bc2a6ac'],
  ])('%s hashes as in CM wire A.2', (address, hash) => {
    expect(addressLookupKeys(address)).toEqual([hash])
  })
})

describe('addressOfUserId', () => {
  it.each([
    ['Name <a@example.org>', 'a@example.org'],
    ['bare@example.org', 'bare@example.org'],
    ['Two Addr (was <mallory@example.org>) <twoaddr@example.net>', 'twoaddr@example.net'],
    ['<only@example.org>', 'only@example.org'],
  ])('%s', (userId, address) => {
    expect(addressOfUserId(userId)).toEqual({ kind: 'address', address })
  })

  it.each(['No Address', 'Name <not an address>', 'Name <a@b', '', '<@b>', '<a@>'])(
    '%s has none',
    (userId) => {
      expect(addressOfUserId(userId)).toEqual({ kind: 'none' })
    },
  )

  it.each(['Sep\u2028[GNUPG:] <a@b.c>', 'x\n<a@b.c>', 'x\u0000<a@b.c>', '\u0085<a@b.c>'])(
    'refuses control characters and separators',
    (userId) => {
      expect(addressOfUserId(userId)).toEqual({ kind: 'refused' })
    },
  )

  it('bounds the length', () => {
    expect(isAddress(`${'a'.repeat(400)}@example.org`)).toBe(false)
  })
})

describe('mailbox hashes', () => {
  const vectors = vectorJson<{
    readonly cases: readonly { mailbox: string; keyId: string; hash: string }[]
    readonly lists: readonly { mailboxes: string; keyId: string; hashes: readonly string[] }[]
  }>('mailbox.json')

  it.each(vectors.cases)('$mailbox of $keyId', ({ mailbox, keyId, hash }) => {
    expect(mailboxHash(mailbox, parseKeyId(keyId)!)).toBe(hash)
  })

  it.each(vectors.lists)('the list "$mailboxes"', ({ mailboxes, keyId, hashes }) => {
    const own = parseMailboxPrefixes(mailboxes).map((prefix) => mailboxHash(prefix, parseKeyId(keyId)!))
    expect(own).toEqual(hashes)
  })
})

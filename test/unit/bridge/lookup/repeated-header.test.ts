import { describe, expect, it } from 'vitest'
import { repeatedHeader } from '../../../../src/bridge/lookup/repeated-header.ts'

describe('repeatedHeader', () => {
  it.each([
    [['Keyid: a', 'Address: b', 'keyid: c'], 'keyid'],
    [['Transport: entangled', 'X-Other: 1', 'x-other: 2', 'TRANSPORT: server=a:1'], 'transport'],
    [['Type: address-claim', 'Address: b'], undefined],
    [['X-Other: 1', 'X-Other: 2'], undefined],
  ])('of %j is %s', (lines, expected) => {
    expect(repeatedHeader(lines)).toBe(expected)
  })

  it('does not look into the key block, which has headers of its own', () => {
    const lines = [
      'Version: 1',
      '-----BEGIN PGP PUBLIC KEY BLOCK-----',
      'Version: GnuPG v1',
      '',
      'abcd',
      '-----END PGP PUBLIC KEY BLOCK-----',
    ]
    expect(repeatedHeader(lines)).toBeUndefined()
    expect(repeatedHeader([...lines, 'Version: 2'])).toBe('version')
  })
})

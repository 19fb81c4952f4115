import { describe, expect, it } from 'vitest'
import { anyAddress, isPublicAddress, publicAddressesExcept } from '../../../src/net/address-guard.ts'

describe('isPublicAddress', () => {
  it.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.32.0.1',
    '223.255.255.255',
    '2606:4700::1111',
    '::ffff:8.8.8.8',
    '2a00:1450:4001::1',
  ])('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  it.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12:3456::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:c0a8:101',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    '2001::1',
    'localhost',
    '',
    '2130706433',
  ])('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })
})

describe('address judges', () => {
  it('a private address is contacted only for a host:port listed word for word', () => {
    const judge = publicAddressesExcept(['Box.lan:8081'])
    expect(judge({ hostPort: 'box.lan:8081', address: '192.168.1.5' })).toBe(true)
    expect(judge({ hostPort: 'box.lan:8082', address: '192.168.1.5' })).toBe(false)
    expect(judge({ hostPort: 'evil.example:8081', address: '192.168.1.5' })).toBe(false)
    expect(judge({ hostPort: 'evil.example:8081', address: '8.8.8.8' })).toBe(true)
  })

  it('the owner may name any address', () => {
    expect(anyAddress({ hostPort: 'localhost:8081', address: '127.0.0.1' })).toBe(true)
  })
})

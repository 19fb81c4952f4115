import { describe, expect, it } from 'vitest'
import type { Finding } from '../../../../src/bridge/lookup/ask-for-keys.ts'
import { mergeFindings } from '../../../../src/bridge/lookup/merge-findings.ts'
import type { KeyId } from '../../../../src/cm/ids.ts'

const KEY = '1'.repeat(40) as KeyId
const ASKED = { address: 'bob@example.net', domain: undefined }

function usable(announcedMs: number, addresses: readonly string[] = ['bob@example.net']): Finding {
  const contact = { keyId: KEY, userId: 'Bob', addresses, announcement: `of ${announcedMs}`, announcedMs }
  return { hostPort: 'a:1', isTrustedFor: () => true, key: { kind: 'usable', contact, armored: '' } }
}

function unusable(announcedMs: number, revokedCertificate?: string): Finding {
  const revoked = revokedCertificate === undefined ? {} : { revokedCertificate }
  const key = { keyId: KEY, reason: 'expired', isKeysFault: true, ...revoked }
  return {
    hostPort: 'b:1',
    isTrustedFor: () => false,
    key: { kind: 'unusable', unusable: key, announcedMs, addresses: ['bob@example.net'] },
  }
}

describe('mergeFindings', () => {
  it('takes the newest announcement of a key, in any order: renewed at one server works (K05)', () => {
    for (const findings of [
      [unusable(1), usable(2)],
      [usable(2), unusable(1)],
    ]) {
      expect(mergeFindings(findings, ASKED)).toMatchObject({
        found: [{ announcement: 'of 2' }],
        unusable: [],
      })
    }
    expect(mergeFindings([usable(1), unusable(2)], ASKED)).toMatchObject({ found: [], unusable: [{}] })
  })

  it('believes a revocation however old its announcement is', () => {
    const merged = mergeFindings([usable(2), unusable(0, 'the certificate')], ASKED)
    expect(merged).toMatchObject({ found: [], unusable: [{ revokedCertificate: 'the certificate' }] })
  })

  it('does not let an announcement that is not valid stand against one that is', () => {
    expect(mergeFindings([unusable(0), usable(0)], ASKED).found).toHaveLength(1)
  })

  it('keeps a contact that no longer carries the address apart', () => {
    const merged = mergeFindings([usable(1, ['bob@elsewhere.example'])], ASKED)
    expect(merged).toMatchObject({ found: [], dropped: [{ keyId: KEY }] })
  })

  it('lets a domain vouch for the address that was asked for, and no other of the key', () => {
    const domain = { domain: 'example.net', servers: [{ host: 'a', port: 1 }] }
    const both = usable(1, ['bob@example.net', 'boss@bank.example'])
    const { found } = mergeFindings([both], { ...ASKED, domain })
    expect(found[0]?.vouchedAddresses).toEqual(['bob@example.net'])
    const elsewhere = { ...domain, servers: [{ host: 'b', port: 1 }] }
    expect(mergeFindings([both], { ...ASKED, domain: elsewhere }).found[0]?.vouchedAddresses).toBeUndefined()
  })
})

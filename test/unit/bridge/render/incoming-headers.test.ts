import { describe, expect, it } from 'vitest'
import {
  type IncomingVerdict,
  incomingFields,
  incomingKeywords,
  isBridgeField,
  warningOf,
  withoutBridgeFields,
} from '../../../../src/bridge/render/incoming-headers.ts'
import { parseKeyId } from '../../../../src/cm/ids.ts'

const KEY = parseKeyId('2'.repeat(40))!
const OTHER = parseKeyId('3'.repeat(40))!
const origin = { messageId: '4'.repeat(40), receivedFrom: 'mx.example.net:8081' }
const good: IncomingVerdict = {
  signature: 'good',
  reason: 'verified',
  show: 'everything',
  signer: KEY,
  trust: 'known',
  firstSeenMs: Date.UTC(2026, 1, 3, 9, 15),
  collidingKeys: [],
}
const verdict = (changes: Partial<IncomingVerdict>): IncomingVerdict => ({
  ...good,
  show: 'text-only',
  ...changes,
})

describe('incomingFields', () => {
  it('says one fact per field on verified mail', () => {
    expect(incomingFields(good, origin)).toBe(
      [
        'Authentication-Results: cmbridge.invalid; x-cm=pass reason=verified',
        ` policy.key=${KEY}`,
        `X-CM-From-Key: ${KEY}`,
        'X-CM-Signature: good',
        'X-CM-Trust: known; first-seen=2026-02-03T09:15:00Z',
        `X-CM-Message-Id: ${'4'.repeat(40)}`,
        'X-CM-Received-From: mx.example.net:8081',
        '',
      ].join('\r\n'),
    )
  })

  it('names every other key and warns on a collision', () => {
    const fields = incomingFields(
      verdict({ reason: 'key-collision', trust: 'collision', collidingKeys: [OTHER] }),
      origin,
    )
    expect(fields).toContain('x-cm=policy')
    expect(fields).toContain('X-CM-Trust: collision; first-seen=')
    expect(fields).toContain(`X-CM-Key-Collision: ${OTHER}\r\n`)
    expect(fields).toContain('X-CM-Warning: Good signature with key collision:')
  })

  it('claims no signer for a signature that is not true', () => {
    const fields = incomingFields(
      verdict({ signature: 'bad', reason: 'bad-signature', signer: undefined, trust: undefined }),
      origin,
    )
    expect(fields).not.toContain('X-CM-From-Key')
    expect(fields).not.toContain('X-CM-Trust')
    expect(fields).toContain('x-cm=fail')
    expect(fields).toContain('X-CM-Warning: BAD SIGNATURE!')
  })

  it('uses the words of the reference client for a forged From', () => {
    expect(warningOf(verdict({ signature: 'mismatch', reason: 'signer-is-not-from' }))).toBe(
      'From line fingerprint does not match signature fingerprint. This may be a forgery attempt.',
    )
  })

  it('has no warning when nothing is wrong, and one for every other reason', () => {
    expect(warningOf(good)).toBeUndefined()
    for (const reason of [
      'unknown-key',
      'not-signed',
      'work-below-demand',
      'folder-sync',
      'no-header',
    ] as const) {
      expect(warningOf(verdict({ reason }))).toMatch(/^[A-Z].*\.$/)
    }
  })
})

describe('incomingKeywords', () => {
  it.each([
    ['verified mail', good, ['$CMVerified']],
    [
      'a collision',
      verdict({ reason: 'key-collision', collidingKeys: [OTHER] }),
      ['$CMCollision', '$Phishing'],
    ],
    [
      'a bad signature',
      verdict({ signature: 'bad', reason: 'bad-signature' }),
      ['$CMBadSignature', '$Phishing'],
    ],
    [
      'a forged From',
      verdict({ signature: 'mismatch', reason: 'signer-is-not-from' }),
      ['$CMBadSignature', '$Phishing'],
    ],
    ['an unknown key', verdict({ signature: 'unknown-key', reason: 'unknown-key' }), ['$CMUnverified']],
    ['no signature', verdict({ signature: 'none', reason: 'not-signed' }), ['$CMUnverified']],
    ['a true signature for somebody else', verdict({ reason: 'recipient-not-named' }), ['$CMUnverified']],
  ])('of %s', (_what, given, keywords) => {
    expect(incomingKeywords(given)).toEqual(keywords)
  })
})

describe('fields from the network', () => {
  it('that only the bridge may write are removed, in any case', () => {
    const header = Buffer.from(
      'X-CM-Signature: good\r\nx-cm-from-key: 1\r\nSubject: x\r\nAUTHENTICATION-RESULTS: a;\r\n b=pass\r\nX-Cmm: y\r\n\r\n',
    )
    expect(withoutBridgeFields(header)).toEqual(Buffer.from('Subject: x\r\nX-Cmm: y\r\n\r\n'))
    expect(isBridgeField('X-CM-Anything')).toBe(true)
  })
})

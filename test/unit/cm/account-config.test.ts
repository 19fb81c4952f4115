import { describe, expect, it } from 'vitest'
import { Secret } from '../../../src/base/secret.ts'
import {
  encodeAccountConfig,
  parseAccountConfig,
  parseAutoconfigDocument,
} from '../../../src/cm/account-config.ts'
import type { KeyId } from '../../../src/cm/ids.ts'

/** config.txt and the autoconfig document (CM message 10.1, 10.2). */

const KEY = 'DA3F4E31AE4082ECF960B007EC8DACBE1CA9E289'
const FULL = `SaveTime: 2025-01-20T09:00:00Z
Keyid: ${KEY}
EmailAddress: Alice Example <alice@example.org>
SenderProofOfWork: bd,32,2
PrevSenderProofOfWork: bd,24,2
Mailboxes: 0,1,2,3,4,5,6,7
PrevMailboxes: 0,1,2,3
EndOldCostSlots: 2025-02-01
UseBypassTokens: True
Transport: server=cm.example.org:8081,cm2.example.org:8081
AuthKey: ABCDEFGH12345678
EntangledServer: server=cm.example.org:8081
ServerConnection: TOR
OldTransport: server=old.example.org:8081
OldAuthKey: OLDKEY12
EndPollOldDate: 2030-02-01
PubTransport: server=server=pub.example.org:8081
PubAuthKey: PUBKEY12
AltDNSServer: server=dns.example.org:8081
TorProxy: 127.0.0.1:9050
SocksProxy: localhost:1080
ProxyIP: True
ProxyTOR: False
ProxyDNS: True
UseExitNode: True
ConnectionTimeout: 60
NewMessageCheck: 300
FolderSync: 600
ListWindowSize: 900x600
SpellcheckLanguage: de_DE
`

describe('config.txt', () => {
  it('is read whole', () => {
    const config = parseAccountConfig(FULL)
    expect(config).toMatchObject({
      keyId: KEY.toLowerCase(),
      emailAddress: 'Alice Example <alice@example.org>',
      costBits: 32,
      previousCostBits: 24,
      mailboxCount: 8,
      previousMailboxCount: 4,
      transport: { servers: ['cm.example.org:8081', 'cm2.example.org:8081'] },
      entangledServer: { servers: ['cm.example.org:8081'] },
      oldTransport: { servers: ['old.example.org:8081'] },
      endPollOldDate: '2030-02-01',
      publishTransport: { servers: ['pub.example.org:8081'] },
      usesBypassTokens: true,
      syncsFolders: true,
      complaints: [],
    })
    expect(config.authKey?.reveal()).toBe('ABCDEFGH12345678')
    expect(config.oldAuthKey?.reveal()).toBe('OLDKEY12')
    expect(config.publishAuthKey?.reveal()).toBe('PUBKEY12')
    expect(config.settings).toEqual([
      'cm.torProxy=127.0.0.1:9050',
      'cm.socksProxy=localhost:1080',
      'cm.exitNode=true',
      'cm.preferred=tor',
      'cm.postByProxy=["direct"]',
      'cm.timeoutSeconds=60',
      'lookup.dnsBy=server',
      'lookup.dnsServers=["dns.example.org:8081"]',
      'poll.seconds=300',
    ])
  })

  it.each([
    [
      'names in any case and order',
      `mailboxes: 0,1\nKEYID: x\nKeyId: ${KEY}`,
      { mailboxCount: 2, keyId: KEY.toLowerCase() },
    ],
    [
      'CRLF, a byte order mark, empty lines and comments',
      `\ufeffKeyid: ${KEY}\r\n\r\n# hello\r\n`,
      { keyId: KEY.toLowerCase() },
    ],
    ['an empty value as none', 'AuthKey: \nTransport: \n', { authKey: undefined, transport: undefined }],
    ['the last of two', 'Mailboxes: 0,1\nMailboxes: 0,1,2,3\n', { mailboxCount: 4 }],
    ['three mailboxes as four', 'Mailboxes: 0,1,2\n', { mailboxCount: 4 }],
    ['entangled', 'Transport: entangled\n', { transport: { isEntangled: true, servers: [] } }],
    [
      'a prefix that was doubled',
      'EntangledServer: server=server=h.example.org:1\n',
      { entangledServer: { servers: ['h.example.org:1'] } },
    ],
    ['what it does not know', 'NewThing: 1\nSpellcheckLanguage: xx\n', {}],
    ['nothing', '', {}],
  ])('takes %s', (_name, text, expected) => {
    const config = parseAccountConfig(text)
    expect(config).toMatchObject(expected)
    expect(config.complaints).toEqual([])
  })

  it.each([
    ['a key id that is none', 'Keyid: 1234'],
    ['a cost that is none', 'SenderProofOfWork: bd,x,2'],
    ['a cost we do not have', 'SenderProofOfWork: bd,48,2'],
    ['mailboxes with other names', 'Mailboxes: a,b'],
    ['seventeen mailboxes', `Mailboxes: ${Array.from({ length: 17 }, (_, n) => n).join(',')}`],
    ['a server without a port', 'Transport: server=cm.example.org'],
    ['a list of too many servers', `Transport: server=${Array(17).fill('h:1').join(',')}`],
    ['an authentication key of two words', 'AuthKey: two words'],
    ['a date of another form', 'EndPollOldDate: 01.02.2030'],
    ['a truth that is none', 'UseBypassTokens: perhaps'],
    ['a proxy without a port', 'TorProxy: localhost'],
    ['a line without a name', 'just some words'],
    ['a control character', 'Keyid: \u0007'],
    ['a value without end', `Transport: ${'x'.repeat(5000)}`],
    ['a proxy the reference never reads', 'ProxyI2P: True'],
  ])('says what is wrong with %s, and takes the rest', (_name, text) => {
    const config = parseAccountConfig(`${text}\nPrevMailboxes: 0,1\n`)
    expect(config.complaints).toHaveLength(1)
    expect(config.previousMailboxCount).toBe(2)
    expect(config.complaints.join()).not.toContain('two words')
  })

  it('is written so that it is read back', () => {
    const untilMs = Date.parse('2030-02-01T00:00:00Z')
    const text = encodeAccountConfig({
      keyId: KEY.toLowerCase() as KeyId,
      userId: 'Alice <alice@example.org>',
      costBits: 32,
      mailboxCount: 2,
      previous: { costBits: 24, mailboxCount: 8, untilMs },
      servers: ['cm.example.org:8081'],
      authKey: new Secret('ABCDEFGH'),
      old: { servers: ['old.example.org:1'], authKey: new Secret('OLDKEY12'), untilMs },
      publishServers: ['pub.example.org:2'],
      publishAuthKey: new Secret('PUBKEY12'),
      usesBypassTokens: false,
    })
    expect(text).toContain(`Keyid: ${KEY}\n`)
    expect(parseAccountConfig(text)).toMatchObject({
      keyId: KEY.toLowerCase(),
      costBits: 32,
      previousCostBits: 24,
      mailboxCount: 2,
      previousMailboxCount: 8,
      transport: { servers: ['cm.example.org:8081'] },
      oldTransport: { servers: ['old.example.org:1'] },
      endPollOldDate: '2030-02-01',
      publishTransport: { servers: ['pub.example.org:2'] },
      usesBypassTokens: false,
      syncsFolders: false,
      complaints: [],
    })
  })
})

describe('an autoconfig document', () => {
  it('is the lines between its marks', () => {
    const read = parseAutoconfigDocument(
      `<html>Keyid: not this\r\n#BEGIN_CONFIG#  \r\nTransport: server=a.example.org:1\r\nAuthKey: ABCDEFGH\r\n#END_CONFIG#\r\nMailboxes: 0,1\r\n`,
    )
    if (read.kind !== 'config') throw new Error(read.reason)
    expect(read.config.transport?.servers).toEqual(['a.example.org:1'])
    expect(read.config.mailboxCount).toBeUndefined()
    expect(read.config.keyId).toBeUndefined()
  })

  it.each([
    ['', 'nothing'],
    ['#BEGIN_CONFIG#\nTransport: server=a:1\n', 'no end'],
    ['#END_CONFIG#\n#BEGIN_CONFIG#\n', 'the wrong order'],
    ['Transport: server=a:1\n', 'no marks'],
  ])('%j is none: %s', (text) => {
    expect(parseAutoconfigDocument(text).kind).toBe('refused')
  })
})

import { describe, expect, it } from 'vitest'
import { encodeNotice, type Notice, type NoticedKey } from '../../../../src/bridge/reports/notices.ts'
import { parseKeyId } from '../../../../src/cm/ids.ts'
import { readMail } from '../../../support/read-mail.ts'

const mail = {
  id: 'cd'.repeat(16),
  to: { name: 'Alice Example', address: 'alice@example.org' },
  dateMs: Date.UTC(2026, 1, 3, 9, 15),
}
const key = (digit: string, userId: string): NoticedKey => ({
  keyId: parseKeyId(digit.repeat(40))!,
  userId,
  firstSeenMs: digit === '2' ? Date.UTC(2026, 0, 1) : null,
})
const bob = key('2', 'Bob Example <bob@example.net>')
const mallory = key('9', 'Bob Example <bob@example.net>')
const certificate = (digit: string) => ({ sha256: digit.repeat(64), description: 'CN=mx\nvalid to 2030' })

const all: readonly Notice[] = [
  { kind: 'key-collision', address: 'bob@example.net', keys: [bob, mallory] },
  { kind: 'new-key-for-contact', address: 'bob@example.net', known: bob, found: mallory },
  { kind: 'rival-of-own-address', address: 'alice@example.org', rival: mallory },
  {
    kind: 'unreadable-mail',
    announcementId: '7'.repeat(40),
    reason: 'not-for-us',
    receivedMs: mail.dateMs,
    receivedFrom: 'mx.example.net:8081',
  },
  {
    kind: 'server-certificate-changed',
    hostPort: 'mx.example.net:8081',
    remembered: certificate('a'),
    seen: certificate('b'),
    isReplaced: false,
  },
  { kind: 'disk-full', freeBytes: 12, directory: '/var/lib/x' },
  { kind: 'clock-in-doubt', nowMs: 0, newestMs: mail.dateMs },
  ...(['own-key-not-announced', 'own-mail-not-fetched'] as const).map((kind) => ({
    kind,
    address: 'alice@example.org',
    sinceMs: mail.dateMs,
    reason: 'mx.example.net:8081 refused',
  })),
]

const read = (notice: Notice) => readMail(encodeNotice(notice, mail))

describe('a notice', () => {
  it.each(all)('of $kind says in plain words what happened and what to do', async (notice) => {
    const octets = Buffer.from(encodeNotice(notice, mail)).toString('latin1')
    expect(octets).toMatch(/^[\t\r\n -~]*$/)
    expect(octets).toContain('From: "Confidant Bridge" <postmaster@cm.invalid>\r\n')
    const parsed = await read(notice)
    expect(parsed.subject).toMatch(/^[A-Z]/)
    expect(parsed.text).toContain('What to do:')
  })

  it('of a collision shows both fingerprints whole', async () => {
    const { text, subject } = await read(all[0]!)
    expect(subject).toBe('Two keys claim bob@example.net')
    expect(text).toContain(bob.keyId)
    expect(text).toContain(mallory.keyId)
    expect(text).toContain('never used here before')
  })

  it('of a changed certificate names the command that accepts it, only when that is needed', async () => {
    const changed = all[4] as Extract<Notice, { kind: 'server-certificate-changed' }>
    expect((await read(changed)).text).toContain('cmbridge cert accept mx.example.net:8081')
    expect((await read({ ...changed, isReplaced: true })).text).not.toContain('cert accept')
  })

  it('cannot be written into by a key or a server', () => {
    const evil = 'x\r\nBcc: eve@example.com\r\n\r\nWhat to do:\r\npay'
    const notice: Notice = { kind: 'new-key-for-contact', address: evil, known: bob, found: key('9', evil) }
    const octets = Buffer.from(encodeNotice(notice, mail)).toString('latin1')
    expect(octets).not.toMatch(/^(?:Bcc:|pay)/m)
    expect(octets.match(/^What to do:/gm)).toHaveLength(1)
  })
})

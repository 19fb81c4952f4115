import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseAddressClaims } from '../../../src/cm/address-claim.ts'
import { dearmorPublicKey } from '../../../src/cm/armor.ts'
import {
  buildAcknowledgment,
  buildAddressClaim,
  buildKeyAnnouncement,
  type ProofMaker,
} from '../../../src/cm/build-announcements.ts'
import { encodeClearSigned, signedText } from '../../../src/cm/clear-signed.ts'
import { addressHash, keyAnnouncementKey, parseBlockKey, parseKeyId } from '../../../src/cm/ids.ts'
import { verifyKeyAnnouncement } from '../../../src/cm/judge-signed.ts'
import { encodeKeyAnnouncementBody, parseKeyAnnouncement } from '../../../src/cm/key-announcement.ts'
import { clearsign } from '../../../src/cm/openpgp/clear-signatures.ts'
import { generateKey, readSecretKey } from '../../../src/cm/openpgp/secret-keys.ts'
import { measureProofOfWork, solveProofOfWork } from '../../../src/cm/proof-of-work.ts'
import { parseTransport } from '../../../src/cm/transport.ts'
import { formatUtcTime, parseUtcTime } from '../../../src/cm/utc-time.ts'
import { validateBlock } from '../../../src/cm/validate-block.ts'
import { vectorBytes } from '../../support/vectors.ts'

const CASES = new URL('../../golden/cases/', import.meta.url)
const APPENDIX = new URL('../../golden/wire-appendix/', import.meta.url)
const NO_DEMAND = { bits: 0, matches: 0 }
const nowMs = Date.UTC(2026, 10, 25, 12)

const maker: ProofMaker = {
  solver: { solve: async ({ data, ...demand }) => solveProofOfWork(demand, data) },
  nowMs,
}
const secretKey = await generateKey({ name: 'Žofia Example', address: 'Žofia@Example.org', nowMs })
const own = {
  secretKey,
  transport: parseTransport('server=mx1.example.org:8081,mx2.example.org:8081')!,
  mailboxPrefixes: ['0', '1'],
  senderProofOfWork: { bits: 24, matches: 2 },
  bypassTokenAccepted: '2026-11-01T00:00:00Z',
}

describe('the examples of CM wire appendix A', () => {
  it('verifies the key announcement of A.7', async () => {
    const text = readFileSync(new URL('A7-key-announcement.txt', APPENDIX), 'utf8')
    const parsed = parseKeyAnnouncement(text)
    if (parsed.kind !== 'ok') throw new Error(parsed.reason)
    expect(parsed.announcement.proofInput).toHaveLength(853)
    expect(measureProofOfWork(parsed.announcement.proofOfWork, parsed.announcement.proofInput).bits).toBe(25)
    const verdict = await validateBlock({
      key: parseBlockKey('8CC800CD4E7DB6AC52EF2CFBCEDB5E7B5F1809D3')!,
      text,
      network: 'server',
      nowMs: parseUtcTime('2026-11-22T20:05:00Z')!,
      poster: parseKeyId('8CC800CD4E7DB6AC52EF2CFBCEDB5E7B5F1809D3'),
    })
    expect(verdict).toMatchObject({ reason: undefined, records: [{ signature: 'good' }] })
  })

  it('verifies the address claim of A.8', async () => {
    const announcement = parseKeyAnnouncement(
      readFileSync(new URL('A7-key-announcement.txt', APPENDIX), 'utf8'),
    )
    if (announcement.kind !== 'ok') throw new Error(announcement.reason)
    const verdict = await validateBlock({
      key: addressHash('vector@example.org'),
      text: readFileSync(new URL('A8-address-claim.txt', APPENDIX), 'utf8'),
      network: 'server',
      nowMs: parseUtcTime('2026-11-22T20:05:00Z')!,
      publicKeyFor: async () => announcement.announcement.keyBlock,
    })
    expect(verdict).toMatchObject({
      reason: undefined,
      records: [{ signature: 'good', proofOfWork: { bits: 25, matches: 2 } }],
    })
  })
})

describe('our own announcements', () => {
  it('pass our own validator, header by header', async () => {
    const built = await buildKeyAnnouncement(own, maker)
    const verified = await verifyKeyAnnouncement(built.text, { nowMs, demand: { bits: 24, matches: 2 } })
    if (verified.kind !== 'ok') throw new Error(verified.reason)
    expect(verified.announcement).toMatchObject({
      date: '2026-11-25T12:00:00Z',
      expiresMs: nowMs + 7 * 86_400_000,
      userId: 'Žofia Example <Žofia@Example.org>',
      transport: own.transport,
      mailboxPrefixes: ['0', '1'],
      senderProofOfWork: { bits: 24, matches: 2 },
      bypassTokenAccepted: '2026-11-01T00:00:00Z',
    })
    expect(built.key).toBe(keyAnnouncementKey(secretKey.certificate.keyId))
    expect(built.text).toMatch(/\n- -----END PGP PUBLIC KEY BLOCK-----\n\n-----BEGIN PGP SIGNATURE-----\n/)
    expect(built.text.endsWith('-----END PGP SIGNATURE-----\n')).toBe(true)
  })

  it('claim the lower-case address, without an empty line before the signature', async () => {
    const built = await buildAddressClaim({ secretKey, address: 'Žofia@Example.org' }, maker)
    expect(built.key).toBe(addressHash('žofia@example.org'))
    expect(built.text).toContain('\nAddress: žofia@example.org\n-----BEGIN PGP SIGNATURE-----\n')
    const verdict = await validateBlock({
      key: built.key,
      text: built.text,
      network: 'server',
      nowMs,
      poster: secretKey.certificate.keyId,
      publicKeyFor: async () => secretKey.certificate.armored,
    })
    expect(verdict).toMatchObject({ reason: undefined, records: [{ signature: 'good' }] })
  })

  it('acknowledge', async () => {
    const secret = Buffer.from('cf8658f32421f33dde086ef3ddff8960a17fe405', 'hex')
    const when = { ...maker, nowMs: parseUtcTime('2026-11-22T20:05:00Z')! }
    const built = await buildAcknowledgment({ secret, network: 'server' }, when)
    expect(built.key).toBe('783d2e3dc169ad367afeef193b9405dd2e5b3d60')
    expect(built.text).toContain('\nProofOfWork: bd,00000002b,00000005f\n')
  })

  it('are made of the same bytes as the reference’s, signature apart', async () => {
    const text = vectorBytes('announcements/bob-server-bypass.txt').toString('utf8')
    const parsed = parseKeyAnnouncement(text)
    if (parsed.kind !== 'ok') throw new Error(parsed.reason)
    const { announcement } = parsed
    const body = encodeKeyAnnouncementBody({
      date: announcement.date,
      expires: formatUtcTime(announcement.expiresMs!),
      userId: announcement.userId,
      transport: announcement.transport!,
      mailboxPrefixes: announcement.mailboxPrefixes,
      senderProofOfWork: announcement.senderProofOfWork!,
      bypassTokenAccepted: announcement.bypassTokenAccepted,
      keyBlock: announcement.keyBlock,
    })
    const lines = `ProofOfWork: ${announcement.proofOfWork}\n${body}`.slice(0, -1).split('\n')
    expect(encodeClearSigned(lines, 'SHA512', announcement.signed.signature)).toBe(text)
  })
})

describe('hostile announcements', () => {
  async function announce(keyBlock: string) {
    const body = encodeKeyAnnouncementBody({
      ...own,
      date: formatUtcTime(nowMs),
      expires: formatUtcTime(nowMs),
      userId: undefined,
      keyBlock,
    })
    return clearsign(`ProofOfWork: bd,0,1\n${body}`, secretKey, nowMs)
  }

  it.each([
    ['K03.asc', 'several-certificates'],
    ['K13-v6.asc', 'version-6'],
    ['K09-separator.asc', 'control-character'],
  ])('are refused with the key block of %s', async (name, certificateRefusal) => {
    const text = await announce(readFileSync(new URL(name, CASES), 'utf8'))
    const verified = await verifyKeyAnnouncement(text, { nowMs, demand: NO_DEMAND })
    expect(verified).toMatchObject({ kind: 'rejected', reason: 'certificate', certificateRefusal })
  })

  it('are refused with somebody else’s certificate', async () => {
    const text = await announce(readFileSync(new URL('K09-bare.asc', CASES), 'utf8'))
    const verified = await verifyKeyAnnouncement(text, { nowMs, demand: NO_DEMAND })
    expect(verified).toMatchObject({ kind: 'rejected', reason: 'signature' })
  })

  it.each(['Data: 0', 'EndBlock', 'NextClaim', 'Padding: x', 'Post-To: entangled', 'LoginUser: x'])(
    'are refused with the signed line "%s"',
    async (line) => {
      const signed = await clearsign(`Type: address-claim\n${line}\nAddress: a@b\n`, secretKey, nowMs)
      const separated = parseAddressClaims(signed) ?? []
      // A NextClaim line ends the part, so that the frame is broken.
      expect(
        separated.every(
          ({ kind }) => kind === 'forbidden-header' || kind === 'malformed' || kind === 'unsigned',
        ),
      ).toBe(true)
      const text = await announce(secretKey.certificate.armored)
      const spoilt = text.replace('\nType: ', `\n${line}\nType: `)
      expect(parseKeyAnnouncement(spoilt)).toEqual({ kind: 'rejected', reason: 'forbidden-header' })
    },
  )

  it.each([
    ['a line before', (text: string) => `Type: data\n${text}`],
    ['a line behind', (text: string) => `${text}x\n`],
    [
      'a second header',
      (text: string) => text.replace('Hash: SHA512', 'Hash: SHA512\nDate: 2030-01-01T00:00:00Z'),
    ],
    ['a bare dash', (text: string) => text.replace('\nType: ', '\n-x\nType: ')],
    ['a second message', (text: string) => text + text],
  ])('are refused with %s', async (_name, spoil) => {
    const text = await announce(secretKey.certificate.armored)
    expect(parseKeyAnnouncement(spoil(text))).toMatchObject({ kind: 'rejected', reason: 'malformed' })
  })

  it('are refused by size before anything is parsed', () => {
    expect(parseKeyAnnouncement('x'.repeat(300_000))).toEqual({ kind: 'rejected', reason: 'too-large' })
  })
})

describe('text between signatures', () => {
  it('loses trailing blanks alone, in a moment however many stand within', () => {
    const blanks = ' '.repeat(1024 * 1024)
    expect(signedText(['a \t', ' b', '', `${blanks}c${blanks}`])).toBe(`a\n b\n\n${blanks}c`)
    expect(dearmorPublicKey(`${blanks}x`)).toEqual({ kind: 'refused', reason: 'not-a-key' })
  })
})

describe('readSecretKey', () => {
  it('reads the vectors’ keys and refuses others', async () => {
    const armored = vectorBytes('keys/alice.sec.asc').toString('utf8')
    const read = await readSecretKey(armored, { nowMs })
    expect(read).toMatchObject({
      kind: 'ok',
      secretKey: { certificate: { keyId: 'e6e73df5920e7325f02029372afa2d8ead20d7fa' } },
    })
    const publicKey = vectorBytes('keys/alice.pub.asc').toString('utf8')
    expect(await readSecretKey(publicKey, { nowMs })).toEqual({ kind: 'refused', reason: 'not-a-key' })
    expect(await readSecretKey('nonsense', { nowMs })).toEqual({ kind: 'refused', reason: 'not-a-key' })
  })
})

import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { createSubmission } from '../../src/bridge/submission.ts'
import { CERTIFICATE_REFUSALS } from '../../src/cm/certificate.ts'
import { readCertificatePackets } from '../../src/cm/certificate-packets.ts'
import { parseKeyAnnouncement } from '../../src/cm/key-announcement.ts'
import { parseCertificate } from '../../src/cm/openpgp/certificates.ts'
import { readSecretKey } from '../../src/cm/openpgp/secret-keys.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import type { SmtpReply } from '../../src/smtp/port.ts'
import { accountById } from '../../src/store/account-queries.ts'
import { announceForeignKey, announcePerson } from '../support/announced-person.ts'
import { startBlockServer } from '../support/block-server.ts'
import { dnsOf, LookupBench } from '../support/lookup-bench.ts'

/** What RCPT and DATA say of keys that are expired, unreadable, odd, blocked or two (K05, K08, K13, K14, S19). */

const CASES = new URL('../golden/cases/', import.meta.url)
const caseText = (name: string): string => readFileSync(new URL(name, CASES), 'utf8')
const HOUR = 3_600_000

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A submission server of an account whose one server has these blocks; a test may change them. */
async function submissionWith(blocks: Record<string, string>) {
  const server = await startBlockServer({ blocks })
  ends.push(() => server.close())
  const bench = await LookupBench.open({ ownServers: [server.hostPort] })
  ends.push(() => bench.close())
  const { store, accountId, context } = bench
  const account = accountById(store.read, accountId)
  if (account === undefined) throw new Error('no account')
  const submission = createSubmission({
    store,
    authenticator: { authenticate: async () => ({ kind: 'ok', account, login: 'test' }) },
    lookup: bench.lookup({ dns: { kind: 'system', resolveTxt: dnsOf({}) } }),
    clock: context.clock,
    randomBytes,
    maxMessageBytes: 1_000_000,
    enqueue: () => undefined,
  })
  const login = await submission.login({
    authzid: '',
    authcid: account.address,
    password: new Secret('any'),
    protocol: 'smtp',
    secure: true,
    remoteAddress: '127.0.0.1',
  })
  if (login.kind !== 'ok') throw new Error('no session')
  const begin = async () => {
    const { transaction } = await login.session.begin({
      address: account.address,
      declaredBytes: null,
      envelopeId: null,
      returnContent: null,
      hold: null,
    })
    if (transaction === undefined) throw new Error('no transaction')
    return transaction
  }
  return {
    bench,
    begin,
    rcpt: async (address: string) => textOf(await (await begin()).addRecipient(rcptTo(address))),
  }
}

const rcptTo = (address: string) => ({ address, notify: [], originalRecipient: null })
const textOf = ({ replyCode, enhancedStatusCode, text }: SmtpReply): string =>
  `${replyCode} ${enhancedStatusCode} ${text}`

async function* letter(to: string): AsyncGenerator<Buffer> {
  yield Buffer.from(
    `From: owner@example.com\r\nTo: ${to}\r\nSubject: Hello\r\nMessage-ID: <${randomBytes(8).toString('hex')}@example.com>\r\n\r\nHello.\r\n`,
  )
}

/** SHA-1 over the public key packet (RFC 9580 5.5.4.2), without reading the rest. */
function fingerprintOf(key: string | Uint8Array): string {
  const packets = readCertificatePackets(key)
  if (packets.kind === 'refused') throw new Error(packets.reason)
  const [first = 0, length = 0] = packets.bytes
  expect(first & 0xc0).toBe(0x80)
  const body = packets.bytes.subarray(2, 2 + length)
  return createHash('sha1')
    .update(Buffer.from([0x99, 0, length]))
    .update(body)
    .digest('hex')
}

describe('K05: a primary key that expired', () => {
  async function expiredKey(address: string) {
    const madeMs = Math.floor((Date.now() - 4 * HOUR) / 1000) * 1000
    const expiresMs = madeMs + 2 * HOUR
    const userIDs = [{ name: 'Lapsed', email: address }]
    const { privateKey } = await openpgp.generateKey({
      userIDs,
      type: 'ecc',
      curve: 'curve25519Legacy',
      date: new Date(madeMs),
      keyExpirationTime: (expiresMs - madeMs) / 1000,
      format: 'object',
    })
    const { privateKey: longer } = await openpgp.reformatKey({
      privateKey,
      userIDs,
      date: new Date(Date.now() - HOUR),
      format: 'object',
    })
    const read = async (armored: string): Promise<SecretKey> => {
      const result = await readSecretKey(armored, { nowMs: Date.now() })
      if (result.kind !== 'ok') throw new Error(result.kind)
      return result.secretKey
    }
    const day = new Date(expiresMs).toISOString().slice(0, 10)
    return {
      before: await read(privateKey.armor()),
      renewed: await read(longer.armor()),
      expiresMs,
      day,
    }
  }

  it('is refused with the day and the cure; others get the mail; renewed it works by itself', async () => {
    const address = 'lapsed@example.net'
    const { before, renewed, expiresMs, day } = await expiredKey(address)
    const lapsed = await announcePerson(address, { secretKey: before, nowMs: expiresMs - HOUR })
    const bob = await announcePerson('bob@example.net')
    const blocks: Record<string, string> = { ...lapsed.blocks, ...bob.blocks }
    const { bench, begin, rcpt } = await submissionWith(blocks)
    const why = `550 5.7.5 ${address} has no key that can be used: key expired on ${day}; ask the owner to renew it (key ${lapsed.keyId})`
    const transaction = await begin()
    expect(textOf(await transaction.addRecipient(rcptTo(address)))).toBe(why)
    expect(textOf(await transaction.addRecipient(rcptTo('bob@example.net')))).toMatch(/^250 /)
    expect(textOf(await transaction.accept(letter('bob@example.net')))).toMatch(/^250 2\.0\.0 queued/)

    Object.assign(blocks, (await announcePerson(address, { secretKey: renewed })).blocks)
    expect(await rcpt(address)).toBe(`250 2.1.5 ${address} ok`)

    // The same for a contact whose key ended meanwhile.
    const { found } = await bench.byAddress(address)
    const contacts = found.map((contact) => ({ ...contact, expiresMs: Date.now() - HOUR }))
    await bench.store.write('recordContacts', { accountId: bench.accountId, contacts })
    expect(await rcpt(address)).toBe(`250 2.1.5 ${address} ok`)
    Object.assign(blocks, lapsed.blocks)
    expect(await rcpt(address)).toBe(why)
  })

  it('is told so too when somebody serves the key of the case with another’s signature', async () => {
    const keyBlock = caseText('K05.asc')
    const keyId = fingerprintOf(keyBlock)
    const { rcpt } = await submissionWith({
      ...(await announceForeignKey('lapsed@example.net', { keyId, keyBlock })),
    })
    expect(await rcpt('lapsed@example.net')).toMatch(
      /^550 5\.7\.5 .*key expired on 2024-01-31; ask the owner to renew it/,
    )
  })
})

describe('keys that cannot be read', () => {
  it('K08: a name in Windows-1252 is the reason that is told', async () => {
    const keyBlock = caseText('K08.asc')
    const keyId = fingerprintOf(keyBlock)
    const { rcpt } = await submissionWith({
      ...(await announceForeignKey('joerg@example.net', { keyId, keyBlock })),
    })
    expect(await rcpt('joerg@example.net')).toBe(
      `550 5.7.5 joerg@example.net has no key that can be used: key ${keyId} has a name this program cannot check`,
    )
  })

  it('K13: a version 6 key is refused in these words, and no 40 digits are shown for it', async () => {
    const keyId = '6'.repeat(40)
    const keyBlock = caseText('K13-v6.asc')
    const { rcpt, bench } = await submissionWith({
      ...(await announceForeignKey('six@example.net', { keyId, keyBlock })),
    })
    const reply = await rcpt('six@example.net')
    expect(reply).toMatch(/^550 5\.7\.5 .*version 6 keys cannot be used on this network$/)
    expect(reply).not.toMatch(/[0-9a-f]{40}/)
    expect(bench.store.read.all('SELECT * FROM contacts')).toEqual([])
  })

  it('K13: a version 6 key is refused as an account’s own in the same words', async () => {
    const { privateKey } = await openpgp.generateKey({
      userIDs: [{ name: 'Six', email: 'six@example.net' }],
      format: 'armored',
      config: { v6Keys: true },
    })
    const read = await readSecretKey(privateKey, { nowMs: Date.now() })
    expect(read).toEqual({ kind: 'refused', reason: 'version-6' })
    expect(CERTIFICATE_REFUSALS['version-6']).toBe('version 6 keys cannot be used on this network')
  })

  it('K13: nobody is found through a version 3 key behind a version 4 key', async () => {
    const bytes = readFileSync(new URL('K13-v4-then-v3.bin', CASES))
    const body = bytes.toString('base64').replace(/.{64}/g, '$&\n')
    const keyBlock = `-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${body}\n-----END PGP PUBLIC KEY BLOCK-----\n`
    const keyId = '4'.repeat(40)
    const { rcpt } = await submissionWith({
      ...(await announceForeignKey('victim@example.net', { keyId, keyBlock })),
    })
    expect(await rcpt('victim@example.net')).toMatch(/^550 5\.7\.5 .*there is more than one certificate$/)
  })
})

describe('K14: a photo and an unknown algorithm beside known ones', () => {
  it('works, and the photo is not kept', async () => {
    const address = 'photo@example.net'
    const userIDs = [{ name: 'Photo', email: address }]
    const { privateKey } = await openpgp.generateKey({
      userIDs,
      curve: 'curve25519Legacy',
      type: 'ecc',
      format: 'object',
    })
    const photo = await withPhoto(privateKey)
    const read = await parseCertificate(photo, Date.now())
    if (read.kind !== 'ok') throw new Error(read.reason)
    expect(read.certificate).toMatchObject({ hadAttributes: true, canEncrypt: { kind: 'yes' } })
    const secretKey: SecretKey = { certificate: read.certificate, armored: new Secret(privateKey.armor()) }
    const person = await announcePerson(address, { secretKey })
    const { rcpt, bench } = await submissionWith({ ...person.blocks })
    expect(await rcpt(address)).toBe(`250 2.1.5 ${address} ok`)
    const [contact] = (await bench.byAddress(address)).found
    const kept = parseKeyAnnouncement(contact?.announcement ?? '')
    if (kept.kind !== 'ok') throw new Error(kept.reason)
    expect(tagsOf(kept.announcement.keyBlock)).not.toContain(17)
    expect(tagsOf(photo)).toContain(17)
  })
})

describe('S19: an international domain', () => {
  it('claimed in both spellings by different keys refuses the message', async () => {
    const [one, other] = [
      await announcePerson('ann@xn--bcher-kva.example'),
      await announcePerson('ann@bücher.example'),
    ]
    const { begin, rcpt } = await submissionWith({ ...one.blocks })
    expect(await rcpt('ann@bücher.example')).toBe('250 2.1.5 ann@bücher.example ok')
    const both = await submissionWith({ ...one.blocks, ...other.blocks })
    const transaction = await both.begin()
    await transaction.addRecipient(rcptTo('ann@bücher.example'))
    expect(textOf(await transaction.accept(letter('ann@bücher.example')))).toMatch(
      /^553 5\.1\.4 2 keys claim ann@bücher\.example: /,
    )
    await (await begin()).abandon()
  })

  it('of mixed scripts shows its A-label beside what was typed', async () => {
    const { rcpt } = await submissionWith({})
    expect(await rcpt('ann@ex\u0430mple.net')).toBe(
      '550 5.1.1 no key is announced for ann@ex\u0430mple.net (xn--exmple-4nf.net)',
    )
  })
})

describe('a blocked key', () => {
  it('is refused in every form of a pin, with the way to unblock it', async () => {
    const bob = await announcePerson('bob@example.net')
    const { bench, begin, rcpt } = await submissionWith({ ...bob.blocks })
    const { store, accountId } = bench
    const { found: contacts } = await bench.byAddress('bob@example.net')
    await store.write('recordContacts', { accountId, contacts })
    await store.write('setContactTrust', { accountId, keyId: bob.keyId, trust: 'blocked' })
    const refusal = /^553 5\.7\.1 you blocked the key .*"cmbridge contact unblock FINGERPRINT"/
    expect(await rcpt(`${bob.keyId}@cm.invalid`)).toMatch(refusal)
    expect(await rcpt(`bob+cm-${bob.keyId}@example.net`)).toMatch(refusal)
    expect(await rcpt('bob@example.net')).toMatch(/^550 5\.7\.1 you blocked every key of bob@example\.net; /)
    const carol = await announcePerson('bob@example.net')
    await store.write('recordContacts', {
      accountId,
      contacts: [{ ...contacts[0]!, keyId: carol.keyId }],
    })
    const transaction = await begin()
    expect(textOf(await transaction.addRecipient(rcptTo('bob@example.net')))).toMatch(/^250 /)
    const pinned = `"Bob ${bob.keyId}" <bob@example.net>`
    expect(textOf(await transaction.accept(letter(pinned)))).toMatch(refusal)
  })
})

/** The public key with a user attribute packet (RFC 9580 5.12) and a signature behind the first user id. */
async function withPhoto(key: openpgp.PrivateKey): Promise<Uint8Array> {
  const bytes = Buffer.from(key.toPublic().write())
  const at = packetStarts(bytes).find(({ tag }) => tag === 14)?.start ?? bytes.length
  const image = Buffer.concat([
    Buffer.from([1, 16, 0, 1, 1]),
    Buffer.alloc(12),
    Buffer.from([0xff, 0xd8, 0xff]),
  ])
  const attribute = Buffer.concat([Buffer.from([0xc0 | 17, image.length + 1, image.length]), image])
  const signature = packetStarts(bytes).find(({ tag }) => tag === 2)
  if (signature === undefined) throw new Error('a key has signatures')
  const copy = bytes.subarray(signature.start, signature.next)
  // A subkey of an algorithm nobody knows, with a signature that cannot be checked.
  const unknown = Buffer.from([0xc0 | 14, 10, 4, 1, 2, 3, 4, 99, 1, 2, 3, 4])
  return Buffer.concat([bytes.subarray(0, at), attribute, copy, bytes.subarray(at), unknown, copy])
}

function tagsOf(key: string | Uint8Array): number[] {
  const bytes =
    typeof key === 'string'
      ? Buffer.from(
          key
            .split('\n')
            .slice(2, -2)
            .join('')
            .replace(/=.{4}$/, ''),
          'base64',
        )
      : Buffer.from(key)
  return packetStarts(bytes).map(({ tag }) => tag)
}

/** New-format packets with lengths of one or two octets, as openpgp.js writes small ones. */
function packetStarts(
  bytes: Buffer,
): { readonly tag: number; readonly start: number; readonly next: number }[] {
  const packets: { tag: number; start: number; next: number }[] = []
  for (let start = 0; start < bytes.length; ) {
    const [head = 0, first = 0, second = 0] = bytes.subarray(start)
    const [size, length] = first < 192 ? [2, first] : [3, ((first - 192) << 8) + second + 192]
    packets.push({ tag: head & 0x3f, start, next: start + size + length })
    start += size + length
  }
  return packets
}

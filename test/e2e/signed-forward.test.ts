import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MessageRecipient } from '../../src/cm/message/encode-message.ts'
import { generateKey } from '../../src/cm/openpgp/secret-keys.ts'
import { eventually, Household } from '../support/bridge-household.ts'
import { ForeignClient } from '../support/foreign-client.ts'
import { awaitMessage, compose, fieldValues, submit, withImap } from '../support/mail-program.ts'
import { lastMessageAtServer } from '../support/message-at-server.ts'
import { hasProgram } from '../support/programs.ts'

/** Signed forwards both ways (CM message 6): the original keeps its sender's signature, and has its own verdict. */

describe.skipIf(!hasProgram('redis-server'))('a signed forward', () => {
  let household: Household
  let dora: ForeignClient
  let eve: ForeignClient
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'], guests: ['dora', 'eve'] })
    dora = await ForeignClient.create(household, { name: 'dora', address: 'dora@example.net' })
    eve = await ForeignClient.create(household, { name: 'eve', address: 'eve@example.net' })
  })
  afterAll(() => household.stop())

  const arrives = async (name: string, subject: string) =>
    (await withImap(household, household.person(name), (client) => awaitMessage(client, 'INBOX', subject)))
      .source

  /** Alice forwards what she got to bob, as an attachment; gives what bob sees. */
  const forward = async (original: Buffer, subject: string, headers: Record<string, string> = {}) => {
    const alice = household.person('alice')
    const attachment = { contentType: 'message/rfc822', content: original, filename: 'original.eml' }
    const raw = await compose({
      from: alice.address,
      to: 'bob@example.net',
      subject,
      text: 'Look at this.\n',
      attachments: [attachment],
      headers,
    })
    await submit(household, { from: alice, to: ['bob@example.net'], raw })
    const seen = await arrives('bob', subject)
    return { seen, entries: await lastMessageAtServer(household, 'bob') }
  }

  it('of mail that came is made when asked for, and shown with the verdict on its own sender', async () => {
    const { announcementId } = await dora.send({
      to: 'alice',
      subject: 'The original',
      text: 'Signed by dora.\n',
    })
    const original = await arrives('alice', 'The original')
    const { seen, entries } = await forward(original, 'Fwd: signed', { 'X-CM-Forward': 'signed' })
    const names = [...entries.keys()]
    expect(names).toContain(`${announcementId.toUpperCase()}.ZIP`)
    expect(names).toContain(`${announcementId.toUpperCase()}.DTS`)
    expect(names.filter((name) => name.startsWith('_') || name === 'MIME.JSON')).toEqual([])
    expect(entries.get('HEADER.TXT')?.toString()).toMatch(
      new RegExp(`\nForwardedMessageId: ${announcementId}\n`),
    )
    const inner = attachedMessage(seen)
    expect(fieldValues(inner, 'X-CM-Signature')).toEqual(['good'])
    expect(fieldValues(inner, 'X-CM-From-Key')).toEqual([dora.keyId])
    expect(fieldValues(inner, 'X-CM-Message-Id')).toEqual([announcementId])
    expect(fieldValues(inner, 'X-CM-Warning')).toEqual([])
    expect(fieldValues(inner, 'From').join()).toContain(dora.keyId)
    expect(inner.toString()).toContain('Signed by dora.')
    expect(seen.toString()).toContain('Look at this.')
  })

  it('is an ordinary attachment when nobody asks, and never tells of blind copies', async () => {
    const original = await arrives('alice', 'The original')
    const plain = await forward(original, 'Fwd: plain')
    expect([...plain.entries.keys()]).toContain('_original.eml')
    expect(plain.entries.get('HEADER.TXT')?.toString()).not.toContain('ForwardedMessageId')
    const carol = await generateKey({
      name: 'carol',
      address: 'carol@example.net',
      nowMs: Date.now() - 60_000,
    })
    const blind: MessageRecipient = {
      type: 'bcc',
      keyId: carol.certificate.keyId,
      text: 'carol <carol@example.net>',
      transport: 'server=127.0.0.1:1',
      certificate: carol.certificate.armored,
    }
    await dora.send({ to: 'alice', subject: 'With a blind copy', alsoTo: [blind] })
    const seen = await arrives('alice', 'With a blind copy')
    await expect(forward(seen, 'Fwd: blind', { 'X-CM-Forward': 'signed' })).rejects.toMatchObject({
      responseCode: 550,
      response: expect.stringContaining('5.6.0 no attached message is kept here with its signature'),
    })
    // Inside another one they are found when the message is encoded.
    const inside = await dora.container({
      subject: 'Blind inside',
      alsoTo: [blind],
    })
    await dora.send({ to: 'alice', subject: 'With a blind copy inside', message: { forwarded: inside } })
    const outer = await arrives('alice', 'With a blind copy inside')
    const { entries } = await forward(outer, 'Fwd: blind inside', { 'X-CM-Forward': 'signed' })
    expect([...entries.keys()]).toContain('_original.eml')
    expect([...entries.keys()].filter((name) => name.endsWith('.ZIP'))).toEqual([])
  })

  it('is not made of a message whose number stands in another one', async () => {
    const { announcementId } = await dora.send({ to: 'alice', subject: 'For alice', text: 'A secret.\n' })
    await arrives('alice', 'For alice')
    const bait = `From: eve@example.net\r\nMessage-ID: <1@example.net>\r\nX-CM-Message-Id: ${announcementId}\r\n\r\nHello.\r\n`
    const { entries } = await forward(Buffer.from(bait), 'Fwd: bait', { 'X-CM-Forward': 'signed' })
    expect([...entries.keys()]).toContain('_original.eml')
    expect([...entries.keys()].filter((name) => name.endsWith('.ZIP'))).toEqual([])
  })

  it('whose original was changed, or is somebody else’s, says so beside it and not above', async () => {
    const changed = await dora.container({ subject: 'Changed', bodyText: 'Signed once.\n' })
    const zip = 'bytes' in changed.zip ? Buffer.from(changed.zip.bytes) : Buffer.alloc(0)
    zip.write('Forged', zip.indexOf('Signed'))
    await eve.send({
      to: 'alice',
      subject: 'Forwards a forgery',
      message: { forwarded: { ...changed, zip: { bytes: zip } } },
    })
    const seen = await arrives('alice', 'Forwards a forgery')
    expect(fieldValues(seen, 'X-CM-Signature')).toEqual(['good'])
    const inner = attachedMessage(seen)
    expect(fieldValues(inner, 'X-CM-Signature')).toEqual(['bad'])
    expect(fieldValues(inner, 'X-CM-Warning').join()).toContain('BAD SIGNATURE')
    expect(fieldValues(inner, 'X-CM-From-Key')).toEqual([])
  })

  it('inside signed forwards is shown to a depth, and acknowledged by nobody', async () => {
    await household.untilQuiet()
    const before = household.cmServer.stored.filter(({ type }) => type === 'acknowledgment').length
    let forwarded = await dora.container({ subject: 'Level 8' })
    for (let level = 7; level > 0; level -= 1) {
      forwarded = await dora.container({ subject: `Level ${level}`, forwarded })
    }
    await eve.send({ to: 'alice', subject: 'Level 0', message: { forwarded } })
    const seen = (await arrives('alice', 'Level 0')).toString()
    const subjects = [...seen.matchAll(/^Subject: (Level \d)\r$/gm)].map(([, subject]) => subject)
    expect(subjects).toEqual(['Level 0', 'Level 1', 'Level 2', 'Level 3', 'Level 4', 'Level 5'])
    await household.untilQuiet()
    expect(household.cmServer.stored.filter(({ type }) => type === 'acknowledgment')).toHaveLength(before + 1)
  })

  it('keeps containers only as long as their messages', async () => {
    const kept = () =>
      household.rows('SELECT 1 FROM inbound_announcements WHERE container_blob_id IS NOT NULL').length
    const before = kept()
    expect(before).toBeGreaterThan(0)
    await withImap(household, household.person('alice'), async (alice) => {
      const lock = await alice.getMailboxLock('INBOX')
      await alice.messageDelete('1:*')
      lock.release()
    })
    const bobs = household.rows(
      `SELECT 1 FROM inbound_announcements JOIN accounts ON accounts.id = account_id WHERE container_blob_id IS NOT NULL AND address LIKE 'bob%'`,
    ).length
    await household.signal('SIGTERM')
    await household.restart()
    await eventually('containers of removed mail are gone', () => kept() === bobs)
  })
})

/** The message/rfc822 part of a message, from its header on. */
function attachedMessage(source: Buffer): Buffer {
  const start = source.indexOf('\r\n\r\n', source.indexOf('Content-Type: message/rfc822')) + 4
  return source.subarray(start)
}

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Household } from '../support/bridge-household.ts'
import {
  awaitMailbox,
  awaitMessage,
  compose,
  fieldValues,
  listMailbox,
  splitMessage,
  submit,
  withImap,
} from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** Mail from one mail program to another over the whole bridge: SMTP, Confidant Mail, IMAP (design 7, 8, 11). */

const ALICE = 'alice Example <alice@example.org>'
const BOB = 'bob Example <bob@example.net>'

describe.skipIf(!hasProgram('redis-server'))('mail between two accounts', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob', 'carol'] })
  })
  afterAll(() => household.stop())

  const send = async (letter: Parameters<typeof compose>[0], to = ['bob@example.net']) => {
    const raw = await compose({ from: ALICE, to: BOB, text: 'Hello.\n', ...letter })
    expect(await submit(household, { from: household.person('alice'), to, raw })).toMatch(
      /^250 2\.0\.0 queued as om\d+$/,
    )
    return raw
  }
  const asAlice = <Result>(use: Parameters<typeof withImap<Result>>[2]) =>
    withImap(household, household.person('alice'), use)
  const asBob = <Result>(use: Parameters<typeof withImap<Result>>[2]) =>
    withImap(household, household.person('bob'), use)

  it('arrives during IDLE with its UTF-8 subject, and every octet below its header as it was sent', async () => {
    const picture = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 251))
    const subject = 'Grüße aus Köln – první zpráva ✓'
    await asBob(async (bob) => {
      const arrives = awaitMessage(bob, 'INBOX', subject)
      const raw = await send({
        subject,
        html: '<p>Hello <b>Bob</b></p>',
        attachments: [{ filename: 'přehled.bin', content: picture }],
      })
      const { source, flags, size } = await arrives
      expect(flags).toContain('$CMVerified')
      expect(size).toBe(source.length)
      expect(digest(splitMessage(source).body)).toBe(digest(splitMessage(raw).body))
      expect(fieldValues(source, 'Message-ID')).toEqual(fieldValues(raw, 'Message-ID'))
      expect(fieldValues(source, 'Content-Type')).toEqual(fieldValues(raw, 'Content-Type'))
      // The fingerprint is there so that a reply goes to the same key.
      const { keyId } = household.person('alice')
      expect(fieldValues(source, 'From')).toEqual([`"alice Example ${keyId}" <alice@example.org>`])
    })
  })

  it('is answered in the thread of the first', async () => {
    const raw = await send({ subject: 'A question' })
    const [messageId = ''] = fieldValues(raw, 'Message-ID')
    const reply = await compose({
      from: BOB,
      to: ALICE,
      subject: 'Re: A question',
      text: 'An answer.\n',
      inReplyTo: messageId,
      references: messageId,
    })
    await asBob((bob) => awaitMessage(bob, 'INBOX', 'A question'))
    await submit(household, { from: household.person('bob'), to: ['alice@example.org'], raw: reply })
    const { source } = await asAlice((alice) => awaitMessage(alice, 'INBOX', 'Re: A question'))
    expect(fieldValues(source, 'In-Reply-To')).toEqual([messageId])
    expect(fieldValues(source, 'References')).toEqual([messageId])
  })

  it('shows one Sent copy, the client’s own, that turns from $CMPending to $CMDelivered', async () => {
    const raw = await send({ subject: 'One copy' })
    await asAlice(async (alice) => {
      await alice.append('Sent', raw, ['\\Seen'])
      const { source, flags } = await awaitMessage(
        alice,
        'Sent',
        (one) => one.subject === 'One copy' && one.flags.has('$CMDelivered'),
      )
      expect(source.equals(raw)).toBe(true)
      expect(flags).not.toContain('$CMPending')
      const copies = (await listMailbox(alice, 'Sent')).filter((one) => one.subject === 'One copy')
      expect(copies).toHaveLength(1)
      expect(await listMailbox(alice, 'Outbox')).toEqual([])
    })
  })

  it('keeps each Bcc recipient out of everybody else’s copy, and names them their own', async () => {
    await send({ subject: 'With a blind copy' }, ['bob@example.net', 'carol@example.net'])
    const [bobs, carols] = await Promise.all(
      ['bob', 'carol'].map((name) =>
        withImap(household, household.person(name), (client) =>
          awaitMessage(client, 'INBOX', 'With a blind copy'),
        ),
      ),
    )
    expect(bobs?.source.toString('latin1').toLowerCase()).not.toContain('carol')
    expect(fieldValues(carols?.source ?? Buffer.alloc(0), 'To').join()).toContain('bob@example.net')
    expect(fieldValues(carols?.source ?? Buffer.alloc(0), 'Bcc').join()).toContain('carol@example.net')
    expect(carols?.flags).toContain('$CMVerified')
  })

  it('can be flagged, searched, copied, moved and expunged, and another session sees it', async () => {
    await send({ subject: 'To be moved', text: 'A rare word: quetzalcoatl.\n' })
    await asBob(async (bob) => {
      const { uid } = await awaitMessage(bob, 'INBOX', 'To be moved')
      await asBob(async (other) => {
        const lock = await bob.getMailboxLock('INBOX')
        try {
          expect(await bob.search({ body: 'quetzalcoatl' }, { uid: true })).toEqual([uid])
          const watched = awaitMessage(other, 'INBOX', (one) => one.uid === uid && one.flags.has('\\Flagged'))
          expect(await bob.messageFlagsAdd({ uid: `${uid}` }, ['\\Flagged'])).toBe(true)
          await watched
          const gone = awaitMailbox(other, 'INBOX', (all) => all.every((one) => one.uid !== uid))
          await bob.messageMove({ uid: `${uid}` }, 'Archive')
          await gone
        } finally {
          lock.release()
        }
      })
      const [moved] = await listMailbox(bob, 'Archive')
      expect(moved?.subject).toBe('To be moved')
      expect(moved?.flags).toContain('\\Flagged')
      const lock = await bob.getMailboxLock('Archive')
      try {
        expect(await bob.messageDelete({ uid: `${moved?.uid}` })).toBe(true)
      } finally {
        lock.release()
      }
      expect(await listMailbox(bob, 'Archive')).toEqual([])
    })
  })
})

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

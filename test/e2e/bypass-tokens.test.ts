import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyId } from '../../src/cm/ids.ts'
import { announcementProofInput, type MessageAnnouncement } from '../../src/cm/message-announcement.ts'
import { measureProofOfWork } from '../../src/cm/proof-of-work.ts'
import { accountByLogin } from '../../src/store/account-queries.ts'
import { bypassSecrets } from '../../src/store/bypass-queries.ts'
import { openStoreForReading } from '../../src/store/open-store.ts'
import { eventually, Household } from '../support/bridge-household.ts'
import { cmbridge } from '../support/command-line.ts'
import { announcementsFor, ForeignClient, keyAnnouncementOf } from '../support/foreign-client.ts'
import { awaitMessage, compose, submit, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** Bypass tokens both ways over the whole bridge: the live course of CM message 4.4, and what the reference gets wrong. */

const DEMAND_BITS = 24
const FULL_WORK = { hasToken: false, isCheap: false }
const WITH_TOKEN = { hasToken: true, isCheap: true }
const GRANT = /\|bt=([0-9A-Fa-f]{40}),/
const ANCIENT = '2000-01-01T00:00:00Z'

describe.skipIf(!hasProgram('redis-server'))('bypass tokens', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'], guests: ['dora', 'eve', 'frank', 'grace'] })
  })
  afterAll(() => household.stop())

  const send = async (from: string, to: string, subject: string) => {
    const person = household.person(from)
    const raw = await compose({ from: person.address, to, subject, text: 'Hello.\n' })
    expect(await submit(household, { from: person, to: [to], raw })).toMatch(/^250 /)
    await eventually(
      `${subject} is posted`,
      () =>
        household.rows(`SELECT 1 FROM outbound_messages WHERE state NOT IN ('posted', 'done')`).length === 0,
    )
  }
  const arrives = (name: string, mailbox: string, subject: string) =>
    withImap(household, household.person(name), (client) => awaitMessage(client, mailbox, subject))
  const seen = new Set<string>()
  /** Of the one that was not there before: several of one second have no order. */
  const latest = async (announcements: Promise<readonly MessageAnnouncement[]>) => {
    const fresh = (await announcements).filter(({ messageHash }) => !seen.has(messageHash))
    for (const { messageHash } of fresh) seen.add(messageHash)
    return fresh.map((one) => ({
      hasToken: one.bypassToken !== undefined,
      isCheap: bitsOf(one) < DEMAND_BITS,
    }))
  }
  const acknowledgmentsPosted = () =>
    household.cmServer.stored.filter(({ type }) => type === 'acknowledgment').length

  it('spare the work from the first answer on', async () => {
    const { alice, bob } = { alice: household.person('alice'), bob: household.person('bob') }
    await send('alice', bob.address, 'First')
    expect(await latest(announcementsFor(household, 'bob'))).toEqual([FULL_WORK])
    await arrives('bob', 'INBOX', 'First')
    await send('bob', alice.address, 'Answer')
    expect(await latest(announcementsFor(household, 'alice'))).toEqual([WITH_TOKEN])
    expect((await arrives('alice', 'INBOX', 'Answer')).flags).toContain('$CMVerified')
    await send('alice', bob.address, 'Second')
    expect(await latest(announcementsFor(household, 'bob'))).toEqual([WITH_TOKEN])
    expect((await arrives('bob', 'INBOX', 'Second')).flags).toContain('$CMVerified')
    await household.untilQuiet()
    // One token each way, however many messages.
    expect(household.rows(`SELECT 1 FROM bypass_secrets WHERE direction = 'issued'`)).toHaveLength(2)
    expect(household.rows(`SELECT 1 FROM bypass_secrets WHERE direction = 'received'`)).toHaveLength(2)
  })

  it('are used only while the recipient takes them', async () => {
    const dora = await ForeignClient.create(household, { name: 'dora', address: 'dora@example.net' })
    await dora.announce(ANCIENT)
    const grant = { secret: 'ab'.repeat(20), created: '2026-01-01T00:00:00Z', expires: 'never' }
    await dora.send({ to: 'alice', subject: 'With a token', grant })
    await arrives('alice', 'INBOX', 'With a token')
    await send('alice', 'dora@example.net', 'Cheap')
    expect(await latest(dora.announcements())).toEqual([WITH_TOKEN])
    expect((await dora.receive()).acknowledgment).toMatch(GRANT)
    await dora.announce('2026-01-01T00:00:01Z')
    await dora.send({ to: 'alice', subject: 'The token is too old' })
    await arrives('alice', 'INBOX', 'The token is too old')
    await send('alice', 'dora@example.net', 'Not cheap')
    expect(await latest(dora.announcements())).toEqual([FULL_WORK])
    expect((await dora.receive()).acknowledgment).toMatch(GRANT)
    await dora.announce()
    await dora.send({ to: 'alice', subject: 'No more tokens' })
    await arrives('alice', 'INBOX', 'No more tokens')
    await send('alice', 'dora@example.net', 'Not cheap either')
    expect(await latest(dora.announcements())).toEqual([FULL_WORK])
    // Whoever takes none is given none.
    expect((await dora.receive()).acknowledgment).toBe('')
  })

  it('of somebody else, or of nobody, send a message to Junk without acknowledgment', async () => {
    const eve = await ForeignClient.create(household, { name: 'eve', address: 'eve@example.net' })
    const before = acknowledgmentsPosted()
    const work = { bits: 8, secret: issuedBy('alice', household.person('bob').keyId) }
    await eve.send({ to: 'alice', subject: 'With the token of bob', work })
    await eve.send({
      to: 'alice',
      subject: 'With a made-up token',
      work: { bits: 8, secret: '00'.repeat(20) },
    })
    await eve.send({ to: 'alice', subject: 'With too little work', work: { bits: 8 } })
    for (const subject of ['With the token of bob', 'With a made-up token', 'With too little work']) {
      const { flags } = await arrives('alice', 'Junk', subject)
      expect(flags).not.toContain('$CMVerified')
    }
    expect(household.rows(`SELECT 1 FROM work WHERE stage = 'acknowledge'`)).toEqual([])
    expect(acknowledgmentsPosted()).toBe(before)
  })

  it('that we lost are replaced once, in the spelling a reference client keeps', async () => {
    const frank = await ForeignClient.create(household, { name: 'frank', address: 'frank@example.net' })
    await frank.announce(ANCIENT)
    await frank.send({ to: 'alice', subject: 'Hello from frank' })
    await arrives('alice', 'INBOX', 'Hello from frank')
    const tokenInAnswer = async (subject: string) => {
      await send('alice', 'frank@example.net', subject)
      return GRANT.exec((await frank.receive()).acknowledgment)?.[1] ?? ''
    }
    const first = await tokenInAnswer('One')
    expect(first).toMatch(/^[0-9a-f]{40}$/)
    expect(await tokenInAnswer('Two')).toBe(first)
    await frank.send({ to: 'alice', subject: 'Lost', work: { bits: 8, secret: '11'.repeat(20) } })
    await arrives('alice', 'Junk', 'Lost')
    const second = await tokenInAnswer('Three')
    expect(second).toMatch(/^[0-9A-F]{40}$/)
    expect(second.toLowerCase()).not.toBe(first)
    expect(await tokenInAnswer('Four')).toBe(second.toLowerCase())
    // Both are good from now on.
    for (const [subject, secret] of [
      ['With the old one', first],
      ['With the new one', second.toLowerCase()],
    ] as const) {
      await frank.send({ to: 'alice', subject, work: { bits: 8, secret } })
      expect((await arrives('alice', 'INBOX', subject)).flags).toContain('$CMVerified')
    }
  })

  it('are neither announced nor given nor taken by an account that has them switched off', async () => {
    const grace = await ForeignClient.create(household, { name: 'grace', address: 'grace@example.net' })
    await grace.announce(ANCIENT)
    const secret = issuedBy('alice', household.person('bob').keyId)
    const set = ['account', 'set', 'alice@example.org', '--bypass-tokens', 'off', '--data', household.data]
    expect(await cmbridge(set)).toMatchObject({ exitCode: 0 })
    await eventually('it is announced without', async () => {
      const text = await keyAnnouncementOf(household, household.person('alice').keyId)
      return text !== '' && !text.includes('BypassTokenAccepted')
    })
    const bob = await ForeignClient.ofPerson(household, 'bob')
    await bob.send({ to: 'alice', subject: 'No longer taken', work: { bits: 8, secret } })
    await arrives('alice', 'Junk', 'No longer taken')
    await send('alice', 'grace@example.net', 'Without a token')
    expect((await grace.receive()).acknowledgment).toBe('')
  })

  function issuedBy(name: string, to: string): string {
    const read = openStoreForReading(household.data)
    try {
      const account = accountByLogin(read, household.person(name).address)
      const [secret] = bypassSecrets(read, account?.id ?? 0, { direction: 'issued', keyId: to as KeyId })
      return secret?.secret ?? ''
    } finally {
      read.close()
    }
  }
})

function bitsOf(announcement: MessageAnnouncement): number {
  return measureProofOfWork(announcement.proofOfWork ?? '', announcementProofInput(announcement)).bits
}

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Household } from '../support/bridge-household.ts'
import { awaitMessage, compose, fieldValues, listMailbox, submit, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** What could not be said at RCPT is said in a delivery report (design 7.2, 7.9; RFC 3464). */

describe.skipIf(!hasProgram('redis-server'))('an address that could not be looked up', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'] })
  })
  afterAll(() => household.stop())

  it('is accepted; when it turns out to have no key, the sender is told once, and the others got theirs', async () => {
    household.gate.set('refuse')
    const raw = await compose({
      from: 'alice@example.org',
      to: 'bob@example.net, nobody@example.net',
      subject: 'To two',
      text: 'Hello.\n',
    })
    const to = ['bob@example.net', 'nobody@example.net']
    expect(await submit(household, { from: household.person('alice'), to, raw })).toMatch(/^250 2\.0\.0 /)
    household.gate.set('pass')
    await withImap(household, household.person('alice'), async (alice) => {
      const { source } = await awaitMessage(alice, 'INBOX', ({ source: bytes }) =>
        fieldValues(bytes, 'Content-Type').join().includes('report-type=delivery-status'),
      )
      const text = source.toString('latin1')
      expect(text).toMatch(/^Final-Recipient: rfc822; ?nobody@example\.net\r$/im)
      expect(text).toMatch(/^Action: failed\r$/im)
      expect(text).toMatch(/^Status: 5\.1\.1\r$/im)
      expect(text).not.toMatch(/^Final-Recipient: .*bob/im)
      await withImap(household, household.person('bob'), (bob) => awaitMessage(bob, 'INBOX', 'To two'))
      await household.untilQuiet()
      expect(await listMailbox(alice, 'INBOX')).toHaveLength(1)
      expect(await listMailbox(alice, 'Outbox')).toEqual([])
    })
  })
})

import type { ImapFlow } from 'imapflow'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, Household } from '../support/bridge-household.ts'
import {
  awaitMailbox,
  awaitMessage,
  compose,
  listMailbox,
  submit,
  withImap,
} from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** The Outbox (design 7.10): what is on its way is there, what is taken out is not sent. */

describe.skipIf(!hasProgram('redis-server'))('the Outbox', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'] })
    await send('The first')
    await withImap(household, household.person('bob'), (bob) => awaitMessage(bob, 'INBOX', 'The first'))
    await household.untilQuiet()
  })
  afterAll(() => household.stop())

  const send = async (subject: string) => {
    const raw = await compose({ from: 'alice@example.org', to: 'bob@example.net', subject, text: 'Hello.\n' })
    return submit(household, { from: household.person('alice'), to: ['bob@example.net'], raw })
  }
  const remove = async (client: ImapFlow, uid: number) => {
    const lock = await client.getMailboxLock('Outbox')
    try {
      await client.messageDelete({ uid: `${uid}` })
    } finally {
      lock.release()
    }
  }

  it('shows a message until it is posted: its progress, then nothing', async () => {
    household.gate.set('refuse')
    await withImap(household, household.person('alice'), async (alice) => {
      await send('Waits for the server')
      await awaitMessage(alice, 'Outbox', ({ flags }) => flags.has('$CMSending'))
      await household.until('posting failed', ({ failing }) =>
        failing.some(({ stage, lastError }) => stage === 'post' && lastError !== ''),
      )
      household.gate.set('pass')
      await awaitMailbox(alice, 'Outbox', (messages) => messages.length === 0)
    })
    await withImap(household, household.person('bob'), (bob) =>
      awaitMessage(bob, 'INBOX', 'Waits for the server'),
    )
    await household.untilQuiet()
  })

  it('cancels what is deleted from it: never posted, no report, no Sent copy', async () => {
    household.gate.set('refuse')
    await withImap(household, household.person('alice'), async (alice) => {
      await send('Cancelled')
      const { uid } = await awaitMessage(alice, 'Outbox', ({ flags }) => flags.has('$CMSending'))
      await remove(alice, uid)
    })
    await eventually('it is cancelled', () => {
      const rows = household.rows<{ state: string }>('SELECT state FROM outbound_messages ORDER BY id')
      return rows.at(-1)?.state === 'cancelled' && !('post' in household.status().work)
    })
    household.gate.set('pass')
    await send('Not cancelled')
    const inbox = await withImap(household, household.person('bob'), (bob) =>
      awaitMailbox(bob, 'INBOX', (messages) => messages.some(({ subject }) => subject === 'Not cancelled')),
    )
    expect(inbox.map(({ subject }) => subject)).not.toContain('Cancelled')
    await household.untilQuiet()
    await withImap(household, household.person('alice'), async (alice) => {
      expect(await listMailbox(alice, 'INBOX')).toEqual([])
      const sent = await listMailbox(alice, 'Sent')
      expect(sent.map(({ subject }) => subject)).not.toContain('Cancelled')
    })
  })
})

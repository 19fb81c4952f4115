import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, Household } from '../support/bridge-household.ts'
import {
  awaitMailbox,
  awaitMessage,
  compose,
  listMailbox,
  openImap,
  submit,
  withImap,
} from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** Messages with a time (design 7.11): by the own server up to 72 hours, else held here. */

const HOUR_MS = 3_600_000

describe.skipIf(!hasProgram('redis-server')).each([
  ['keeps them', true],
  ['does not', false],
])('a message with a time, at a server that %s', (_, relays) => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'], relays })
  })
  afterAll(() => household.stop())

  const send = async (subject: string, releaseAt: string) => {
    const raw = await compose({
      ...{ from: 'alice@example.org', to: 'bob@example.net', subject, text: 'Hello.\n' },
      headers: { 'X-CM-Release-At': releaseAt },
    })
    return submit(household, { from: household.person('alice'), to: ['bob@example.net'], raw })
  }
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000)

  it('arrives when its time has come, not before, and says nothing of it', async () => {
    const bob = await openImap(household, household.person('bob'))
    const releaseMs = inSeconds(4).getTime()
    await send('Not yet', new Date(releaseMs).toISOString())
    const held = `SELECT 1 FROM outbound_messages WHERE release_ms IS NOT NULL AND state IN ('posted', 'done')`
    if (relays) await eventually('the server has it', () => household.rows(held).length === 1)
    const atServer = Date.now()
    const { source } = await awaitMessage(bob, 'INBOX', 'Not yet')
    const arrivedMs = Date.now()
    await bob.logout()
    // The server counts in seconds.
    expect(arrivedMs).toBeGreaterThanOrEqual(releaseMs - 1000)
    if (relays) expect(atServer).toBeLessThan(releaseMs)
    expect(source.toString()).not.toMatch(/release/i)
    await household.untilQuiet()
  })

  it('waits in the Outbox beyond 72 hours, over a restart, and can be taken out of it', async () => {
    await send('Next week', inSeconds(7 * 24 * 3600).toISOString())
    await household.signal('SIGKILL')
    await household.restart()
    await withImap(household, household.person('alice'), async (alice) => {
      const { uid, flags } = await awaitMessage(alice, 'Outbox', 'Next week')
      expect(flags).toContain('$CMHeld')
      const [work] = household.rows<{ stage: string; next_attempt_ms: number }>(
        `SELECT stage, next_attempt_ms FROM work WHERE row LIKE 'om%'`,
      )
      // With a server that may keep it, work begins three days before; whether it does is found out then.
      expect(work?.stage).toBe('resolve')
      expect(work?.next_attempt_ms).toBeGreaterThan(Date.now() + 4 * 24 * HOUR_MS - 60_000)
      const lock = await alice.getMailboxLock('Outbox')
      await alice.messageDelete({ uid: `${uid}` })
      lock.release()
    })
    await eventually('it is cancelled', () => {
      const [last] = household.rows<{ state: string }>('SELECT state FROM outbound_messages ORDER BY id DESC')
      return last?.state === 'cancelled'
    })
    expect(household.rows(`SELECT 1 FROM work WHERE row LIKE 'om%'`)).toEqual([])
  })

  it('is refused when the time makes no sense', async () => {
    for (const wrong of ['soon', '2020-01-01T00:00:00Z', '2099-01-01T00:00:00Z']) {
      await expect(send('Never', wrong)).rejects.toMatchObject({
        responseCode: 550,
        response: expect.stringMatching(/5\.6\.0 .*X-CM-Release-At/),
      })
    }
    await withImap(household, household.person('alice'), async (alice) => {
      await awaitMailbox(alice, 'Outbox', (messages) => messages.length === 0)
      expect((await listMailbox(alice, 'Outbox')).length).toBe(0)
    })
  })
})

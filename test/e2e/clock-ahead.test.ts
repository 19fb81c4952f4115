import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SIGNATURE_CLOCK_TOLERANCE_MS } from '../../src/cm/openpgp/settings.ts'
import { eventually, Household } from '../support/bridge-household.ts'
import { ForeignClient } from '../support/foreign-client.ts'
import { awaitMessage, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** K10: mail from somebody whose clock is ahead is good, or held until it is; it is never frozen as bad. */

/** More than the bridge needs to look at the message for the first time. */
const HELD_MS = 12_000

describe.skipIf(!hasProgram('redis-server'))('mail signed ahead of our clock', () => {
  let household: Household
  let dora: ForeignClient
  beforeAll(async () => {
    household = await Household.start({ people: ['alice'], guests: ['dora'] })
    dora = await ForeignClient.create(household, { name: 'dora', address: 'dora@example.net' })
  })
  afterAll(() => household.stop())

  const flagsOf = async (subject: string) => {
    const alice = household.person('alice')
    const { flags } = await withImap(household, alice, (client) => awaitMessage(client, 'INBOX', subject))
    return flags
  }

  it('by three minutes is good at once', async () => {
    const dateMs = Date.now() + 3 * 60_000
    await dora.send({ to: 'alice', subject: 'Three minutes ahead', message: { dateMs } })
    expect(await flagsOf('Three minutes ahead')).toContain('$CMVerified')
  })

  it('by more than the tolerance is held, and good when its time has come', async () => {
    const dueMs = Date.now() + HELD_MS
    const message = { dateMs: dueMs + SIGNATURE_CLOCK_TOLERANCE_MS }
    await dora.send({ to: 'alice', subject: 'Far ahead', message })
    const reason = () =>
      household.rows<{ last_error: string | null }>(`SELECT last_error FROM work WHERE stage = 'decode'`)
    await eventually('it is held', () => reason()[0]?.last_error?.includes('ahead of our clock') === true)
    const flags = await flagsOf('Far ahead')
    expect(Date.now()).toBeGreaterThanOrEqual(dueMs - 1000)
    expect(flags).toContain('$CMVerified')
    await household.untilQuiet()
    expect(household.cmServer.stored.filter(({ type }) => type === 'acknowledgment')).toHaveLength(2)
  })
})

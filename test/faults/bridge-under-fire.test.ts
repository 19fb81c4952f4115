import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectUnix } from '../../src/net/unix-socket.ts'
import { readLockHolder } from '../../src/store/instance-lock.ts'
import { eventually, Household } from '../support/bridge-household.ts'
import { compose, listMailbox, submit, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** Whatever dies or sleeps, mail that got its 250 arrives once (design 3, 4; case O04). */

/** Where a message is when the bridge is killed; it is killed as soon as the database shows it there or further. */
const POINTS = ['accepted', 'resolved', 'encoded', 'posted', 'done'] as const

describe.skipIf(!hasProgram('redis-server'))('accepted mail', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'] })
  })
  afterAll(() => household.stop())

  const send = async (subject: string) => {
    const raw = await compose({ from: 'alice@example.org', to: 'bob@example.net', subject, text: 'Hello.\n' })
    const to = ['bob@example.net']
    expect(await submit(household, { from: household.person('alice'), to, raw })).toMatch(/^250 2\.0\.0 /)
  }
  const list = (name: string, mailbox: string) =>
    withImap(household, household.person(name), (client) => listMailbox(client, mailbox))
  const subjects = async (name: string, mailbox: string) =>
    (await list(name, mailbox)).map(({ subject }) => subject)

  let taken = 0
  /** Announcements of messages the CM server took since the last call; one posted again is no new block. */
  const takeAnnounced = () => {
    const stored = household.cmServer.stored.slice(taken)
    taken += stored.length
    return stored.filter(({ type }) => type === 'message-announcement').length
  }

  async function expectArrivedOnce(sent: readonly string[]): Promise<void> {
    await household.untilQuiet()
    const arrived = (await subjects('bob', 'INBOX')).filter((one) => sent.includes(one))
    expect(arrived).toHaveLength(sent.length)
    expect(new Set(arrived)).toEqual(new Set(sent))
    expect(takeAnnounced()).toBe(sent.length)
    expect(await subjects('alice', 'Outbox')).toEqual([])
    // No delivery report.
    expect(await subjects('alice', 'INBOX')).toEqual([])
  }

  it.each(POINTS)('arrives once when the bridge is killed with the message %s', async (point) => {
    takeAnnounced()
    const subject = `Killed when ${point}`
    await send(subject)
    const far = POINTS.slice(POINTS.indexOf(point)).map((state) => `'${state}'`)
    await eventually(`it is ${point}`, () => {
      const sql = `SELECT 1 FROM outbound_messages WHERE state IN (${far.join()}) AND id = (SELECT max(id) FROM outbound_messages)`
      return household.rows(sql).length > 0
    })
    await household.signal('SIGKILL')
    await household.restart()
    await expectArrivedOnce([subject])
  })

  it('arrives once when the bridge is killed while it is fetched', async () => {
    takeAnnounced()
    await send('Killed when fetched')
    await eventually('it is at the server', () =>
      household.cmServer.stored.slice(taken).some(({ type }) => type === 'message-announcement'),
    )
    await household.signal('SIGKILL')
    await household.restart()
    await expectArrivedOnce(['Killed when fetched'])
  })

  it('arrives once each when the private Redis is killed again and again', async () => {
    takeAnnounced()
    const sent: string[] = []
    for (let round = 0; round < 4; round += 1) {
      const before = await redisPid(household)
      sent.push(`Redis ${round}, before`, `Redis ${round}, after`)
      await send(`Redis ${round}, before`)
      process.kill(before, 'SIGKILL')
      await send(`Redis ${round}, after`)
      await eventually('Redis runs again', async () => {
        const pid = await redisPid(household).catch(() => before)
        return pid !== before
      })
    }
    await expectArrivedOnce(sent)
  })

  it('is posted once by a bridge that sleeps several times while it encodes (O04)', async () => {
    takeAnnounced()
    await send('Sleeps')
    for (let stop = 0; stop < 3; stop += 1) {
      household.sleep()
      // The sleep itself; nothing is waited for.
      await wait(2000)
      household.wake()
    }
    await expectArrivedOnce(['Sleeps'])
    expect(household.status().failing).toEqual([])
  })
})

/** Process id of the bridge's private Redis; rejects while it does not run. */
async function redisPid(household: Household): Promise<number> {
  const runDirectory = readLockHolder(household.data)?.runDirectory
  const connection = await connectUnix(`${runDirectory}/redis.sock`, { idleMs: 5000 })
  if (connection === undefined) throw new Error('Redis does not run')
  try {
    await connection.write('INFO server\r\n')
    for await (const line of connection.lines(1000)) {
      const pid = /^process_id:(\d+)/.exec(line)?.[1]
      if (pid !== undefined) return Number(pid)
    }
    throw new Error('Redis does not say its process id')
  } finally {
    connection.destroy()
  }
}

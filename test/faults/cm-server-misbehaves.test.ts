import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Household } from '../support/bridge-household.ts'
import { cmbridge } from '../support/command-line.ts'
import { awaitMessage, compose, listMailbox, submit, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** A CM server that talks nonsense or says nothing: the owner sees it, mail waits, the bridge stays up. */

/** Milliseconds until a silent server is given up (20 s, CM client), with room. */
const SILENCE_MS = 60_000

describe.skipIf(!hasProgram('redis-server'))('a bridge whose CM server misbehaves', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'] })
    await send('The first')
    await household.untilQuiet()
  })
  afterAll(() => household.stop())

  const send = async (subject: string) => {
    const raw = await compose({ from: 'alice@example.org', to: 'bob@example.net', subject, text: 'Hello.\n' })
    return submit(household, { from: household.person('alice'), to: ['bob@example.net'], raw })
  }

  it.each([
    ['garbage', ['poll', 'post'], '', 'Sent while it talked nonsense'],
    ['silent', ['poll'], 'did not answer in time', 'Sent while it hung'],
  ] as const)(
    '(%s) shows it in its status, takes mail and delivers it later',
    async (mode, stages, reason, subject) => {
      household.gate.set(mode)
      // A known recipient needs no server.
      expect(await send(subject)).toMatch(/^250 2\.0\.0 queued/)
      const place = `127.0.0.1:${household.gate.port}`
      await household.until(
        'the status names what fails',
        ({ failing }) =>
          stages.every((stage) =>
            failing.some((one) => one.stage === stage && one.lastError.includes(`${place} ${reason}`)),
          ),
        SILENCE_MS,
      )
      const { stdout } = await cmbridge(['status', '--data', household.data])
      expect(stdout).toMatch(/^bridge {4}runs as process/)
      expect(stdout).toContain(`${place} ${reason}`)
      expect(stdout).toMatch(/^failing {3}poll of (?:alice|bob)@example\.\w+ \(poll\d+\)/m)
      const outbox = await withImap(household, household.person('alice'), (alice) =>
        listMailbox(alice, 'Outbox'),
      )
      expect(outbox.map((one) => one.subject)).toEqual([subject])
      household.gate.set('pass')
      await withImap(household, household.person('bob'), (bob) => awaitMessage(bob, 'INBOX', subject))
      await household.untilQuiet()
      const inbox = await withImap(household, household.person('bob'), (bob) => listMailbox(bob, 'INBOX'))
      expect(inbox.filter((one) => one.subject === subject)).toHaveLength(1)
      expect(household.log).not.toContain('a stage failed')
    },
  )
})

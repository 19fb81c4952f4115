import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Household } from '../support/bridge-household.ts'
import { awaitMessage, compose, submit, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'
import { type SocksServer, startSocksServer } from '../support/socks-server.ts'

/** A household that wants to be reached and seen through a SOCKS5 proxy only (CM wire 8.1, 8.3). */

describe.skipIf(!hasProgram('redis-server'))('with a proxy for all servers', () => {
  let household: Household
  let proxy: SocksServer
  beforeAll(async () => {
    proxy = await startSocksServer({ method: 2, targetPort: 'asked' })
    const settings = [`cm.socksProxy=127.0.0.1:${proxy.port}`]
    household = await Household.start({ people: ['alice', 'bob'], settings })
  })
  afterAll(async () => {
    await household.stop()
    await proxy.close()
  })

  const send = async (subject: string) => {
    const raw = await compose({ from: 'alice@example.org', to: 'bob@example.net', subject, text: 'Hello.\n' })
    return submit(household, { from: household.person('alice'), to: ['bob@example.net'], raw })
  }

  it('everything goes through it, each account and role by itself', async () => {
    await send('Through the proxy')
    await withImap(household, household.person('bob'), (bob) =>
      awaitMessage(bob, 'INBOX', 'Through the proxy'),
    )
    await household.untilQuiet()
    expect(household.gate.connections).toBeGreaterThan(0)
    expect(household.gate.connections).toBeLessThanOrEqual(proxy.talks.length)
    // Alice and Bob with their logins, Alice looking for Bob and posting, Bob looking for Alice and acknowledging.
    const users = new Set(proxy.talks.map(({ credentials }) => credentials?.user))
    expect(users.size).toBe(4)
    expect([...users].join()).toMatch(/^([0-9a-f]{32},?){4}$/)
  })

  it('nothing goes around it when it is down, and the failure says which proxy', async () => {
    await proxy.close()
    household.gate.set('pass')
    await send('Waits for the proxy')
    await household.until('something failed', ({ failing }) =>
      failing.some(({ lastError }) =>
        lastError?.includes(`the proxy is down (proxy 127.0.0.1:${proxy.port})`),
      ),
    )
    expect(household.gate.connections).toBe(0)
  })
})

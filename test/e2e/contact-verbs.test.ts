import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ContactView } from '../../src/bridge/read-contacts.ts'
import { Household } from '../support/bridge-household.ts'
import { cmbridge } from '../support/command-line.ts'
import { compose, submit } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** `cmbridge contact …`, through a running bridge and without one (design 9). */

const BOB = 'bob@example.net'

describe.skipIf(!hasProgram('redis-server'))('contacts by the command line', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob'] })
  })
  afterAll(() => household.stop())

  const contact = (...args: readonly string[]) =>
    cmbridge([
      '--data',
      household.data,
      '--set',
      'lookup.dns=false',
      'contact',
      '--account',
      'alice@example.org',
      ...args,
    ])

  async function json<T>(...args: readonly string[]): Promise<T> {
    const { exitCode, stdout, stderr } = await contact(...args, '--json')
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    return JSON.parse(stdout) as T
  }

  const send = async () =>
    submit(household, {
      from: household.person('alice'),
      to: [BOB],
      raw: await compose({ from: 'alice@example.org', to: BOB, subject: 'Hello', text: 'Hello.\n' }),
    })

  it('are found, verified, blocked and unblocked', async () => {
    const { keyId } = household.person('bob')
    expect(await json('list')).toEqual([])
    const looked = await json<{ found: ContactView[] }>('lookup', BOB)
    expect(looked.found).toMatchObject([{ keyId, trust: 'new', rivals: [] }])

    const { stdout } = await contact('show', BOB)
    expect(stdout).toContain(keyId.toUpperCase().match(/.{4}/g)?.join(' '))
    expect(stdout).toContain(`cmbridge contact verify ${keyId}`)

    const byAddress = await contact('verify', BOB)
    expect(byAddress).toMatchObject({ exitCode: 1, stdout: '' })
    expect(byAddress.stderr).toContain('to verify is to say that you compared the fingerprint')
    // As it is printed: in groups, upper case, without quotes.
    const groups = keyId.toUpperCase().match(/.{4}/g) ?? []
    expect(await json('verify', ...groups)).toMatchObject({ keyId, trust: 'verified' })

    expect(await json('block', keyId)).toMatchObject({ trust: 'blocked' })
    await expect(send()).rejects.toMatchObject({ responseCode: 550 })
    expect((await contact('verify', keyId)).stderr).toContain('unblock it before you verify it')
    expect(await json('unblock', keyId)).toMatchObject({ trust: 'known' })
    expect((await contact('unblock', keyId)).stderr).toContain('is not blocked')
    await send()
    expect(await json('refresh', BOB)).toMatchObject({ contacts: [{ keyId }], problems: [] })
  })

  it('are asked after in one line when nobody is meant', async () => {
    const { exitCode, stderr } = await cmbridge(['--data', household.data, 'contact', 'list'])
    expect(exitCode).toBe(1)
    expect(stderr).toContain('whose contact? Say --account with one of: alice@example.org, bob@example.net')
    expect((await contact('show', 'nobody@example.com')).stderr).toContain('is no contact')
    expect((await contact('lookup', 'nonsense')).stderr).toContain('is no address')
    expect(await json('lookup', 'nobody@example.com')).toMatchObject({ found: [], unreachable: null })
  })

  it('are the same without a running bridge', async () => {
    const { keyId } = household.person('bob')
    await household.signal('SIGTERM')
    expect(await json('verify', keyId)).toMatchObject({ keyId, trust: 'verified' })
    expect(await json('lookup', BOB)).toMatchObject({ found: [{ keyId, trust: 'verified' }] })
    expect(await json('list')).toMatchObject([{ keyId, trust: 'verified' }])
    await household.restart()
  })
})

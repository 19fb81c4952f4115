import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { accountByLogin, loadAuthKey } from '../../src/store/account-queries.ts'
import { openStoreForReading } from '../../src/store/open-store.ts'
import { eventually } from '../support/bridge-household.ts'
import { WireClient } from '../support/cm-server-support.ts'
import { cmbridgeHere } from '../support/command-line.ts'
import { hasProgram } from '../support/programs.ts'
import { ANY_PORTS, startServe } from '../support/serve.ts'
import { shortDirectory } from '../support/short-directory.ts'

/** `cmbridge account set|show|password` as their owner calls them, with and without a running bridge. */

let data: string
beforeEach(() => {
  data = join(shortDirectory(), 'data')
})

const on = (...args: string[]) => cmbridgeHere(['--data', data, ...args])

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr } = await on(...args, '--json')
  expect(stderr).toBe('')
  return JSON.parse(stdout) as T
}

interface Shown {
  readonly account: {
    readonly servers: readonly string[]
    readonly network: Readonly<Record<string, unknown>>
  }
  readonly hasAuthKey: Readonly<Record<string, boolean>>
  readonly times: { readonly announcedMs: number | null }
}

const KEY = ['--auth-key', 'A1B2C3D4E5F6A7B8']

const addAlice = () => json('account', 'add', 'alice@example.org', '--server', 'a.example:8081', ...KEY)

describe('account add', () => {
  it('says what is missing before mail can come', async () => {
    const bare = await on('account', 'add', 'alice@example.org')
    expect(bare.stdout).toContain(
      '"cmbridge account set alice@example.org --server HOST:PORT --auth-key KEY"',
    )
    const keyless = await on('account', 'add', 'bob@example.org', '--server', 'a.example:8081')
    expect(keyless.stdout).toContain('"cmbridge account set bob@example.org --auth-key KEY"')
    const complete = await on('account', 'add', 'carol@example.org', '--server', 'a.example:8081', ...KEY)
    expect(complete.stdout).not.toContain('account set')
  })
})

describe('account set', () => {
  it('changes everything at once and shows it, and never a secret', async () => {
    await addAlice()
    const file = join(data, 'key.txt')
    writeFileSync(file, 'NEWKEYNEWKEYNEWKEY\n')
    const given = [
      ...['--server', 'b.example:8081', '--auth-key-file', file, '--mailboxes', '2', '--cost', '36'],
      ...['--publish-server', 'p.example:8081', '--publish-auth-key', 'PUBPUBPUBPUB'],
      ...['--bypass-tokens', 'off', '--folder-sync', 'on', '--rotate-days', '30', '--name', 'Alice B.'],
    ]
    const shown = await json<Shown>('account', 'set', 'alice', ...given)
    expect(shown).toMatchObject({
      account: {
        displayName: 'Alice B.',
        servers: ['b.example:8081'],
        network: {
          mailboxCount: 2,
          costBits: 36,
          previous: { mailboxCount: 4, costBits: 24 },
          old: { servers: ['a.example:8081'] },
          publishServers: ['p.example:8081'],
          usesBypassTokens: false,
          appliesFolderSync: true,
          rotateDays: 30,
        },
      },
      hasAuthKey: { own: true, old: true, publish: true },
    })
    const { stdout } = await on('account', 'show', 'alice')
    expect(stdout).toMatch(/^old {8}a\.example:8081, until 20/m)
    expect(stdout).toMatch(/^until .* 4 mailboxes are looked at and 24 bits are enough$/m)
    for (const text of [stdout, JSON.stringify(shown)]) expect(text).not.toMatch(/NEWKEY|PUBPUB|A1B2C3/)
    const ended = await json<Shown>('account', 'set', 'alice', '--old-server', 'none')
    expect(ended.account.network).not.toHaveProperty('old')
    expect(ended.hasAuthKey).toMatchObject({ own: true, old: false })
  })

  it('names an account that is not there', async () => {
    const missing = { exitCode: 1, stderr: expect.stringContaining('no account bob here') }
    expect(await on('account', 'set', 'bob', '--cost', '32')).toMatchObject(missing)
    expect(await on('account', 'show', 'bob')).toMatchObject(missing)
  })
})

describe('account set, asked wrongly,', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cmb-'))
  const useDirectory = (): void => {
    data = directory
  }
  let before: unknown
  beforeAll(async () => {
    useDirectory()
    await addAlice()
    before = await json('account', 'show', 'alice')
  })
  beforeEach(useDirectory)
  afterAll(() => rmSync(directory, { recursive: true }))

  it.each([
    [[], 2, 'nothing to change is given'],
    [['--cost', '30'], 1, '--cost 30: give 24, 32, 36 or 40'],
    [['--mailboxes', 'many'], 2, '--mailboxes many: give a number'],
    [['--mailboxes', '3'], 1, '--mailboxes 3: give 2, 4, 8 or 16'],
    [['--server', 'nowhere'], 1, '"nowhere" is no server'],
    [['--server', 'none'], 1, 'an account needs a server'],
    [['--server', 'c.example:1'], 1, 'give their key with --auth-key KEY'],
    [['--old-until', 'tomorrow'], 1, 'give a day like 2026-12-24'],
    [['--old-until', '2030-01-01'], 1, 'there is no old server'],
    [['--folder-sync', 'yes'], 2, 'give on or off'],
    [[...KEY, '--auth-key-file', 'x'], 2, 'give --auth-key or --auth-key-file, not both'],
    [['--auth-key-file', '/does/not/exist'], 2, 'no such file'],
    [['--auth-key', 'two words'], 1, 'must be one word'],
  ])('refuses %j in one line', async (args, exitCode, message) => {
    const outcome = await on('account', 'set', 'alice', ...args)
    expect(outcome).toMatchObject({ exitCode, stderr: expect.stringContaining(message) })
    expect(outcome.stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  it('has changed nothing', async () => {
    expect(await json('account', 'show', 'alice')).toEqual(before)
  })
})

describe('account password', () => {
  it('is one for each device: made, listed, revoked', async () => {
    await json('account', 'add', 'alice@example.org')
    const { appPassword } = await json<{ appPassword: string }>(
      'account',
      'password',
      'add',
      'alice',
      'phone',
    )
    expect(appPassword).toMatch(/^[0-9a-z]{4}(-[0-9a-z]{4}){5}$/)
    await json('account', 'password', 'add', 'alice', 'printer', '--for', 'smtp')
    const listed = await on('account', 'password', 'list', 'alice', '--json')
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { name: 'first', scopes: ['imap', 'smtp'] },
      { name: 'phone', scopes: ['imap', 'smtp'] },
      { name: 'printer', scopes: ['smtp'] },
    ])
    expect(listed.stdout).not.toContain(appPassword)
    expect(await on('account', 'password', 'add', 'alice', 'phone')).toMatchObject({ exitCode: 1 })
    await json('account', 'password', 'revoke', 'alice', 'phone')
    expect(await on('account', 'password', 'revoke', 'alice', 'phone')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('no password phone of alice'),
    })
  })
})

describe('wrong settings', () => {
  it('are told by every verb that would show an account', async () => {
    await addAlice()
    writeFileSync(join(data, 'cmbridge.jsonc'), '{ "imap": { "port": "many" } }')
    for (const verb of [['account', 'list'], ['account', 'show', 'alice'], ['status']]) {
      const { exitCode, stderr } = await on(...verb)
      expect(exitCode).toBe(2)
      expect(stderr).toContain('imap.port = "many"')
    }
  })
})

describe.skipIf(!hasProgram('redis-server'))('a household with a CM server of its own', () => {
  const HOUSEHOLD = ['cmServer.enabled=true', 'cmServer.listen=127.0.0.1:0'].flatMap((one) => ['--set', one])

  /** How many accounts are announced, and alice's auth key; read beside the bridge. */
  function look(): { readonly announced: number; readonly authKey: string; readonly keyId: string } {
    const read = openStoreForReading(data)
    try {
      const alice = accountByLogin(read, 'alice')
      const authKey = alice === undefined ? undefined : loadAuthKey(read, alice.id)
      const rows = read.all('SELECT 1 FROM polls WHERE announced_ms IS NOT NULL')
      return { announced: rows.length, authKey: authKey?.reveal() ?? '', keyId: alice?.keyId ?? '' }
    } finally {
      read.close()
    }
  }

  it('needs no account file: who is added there is announced at once, who is removed is refused', async () => {
    const served = await startServe(['--data', data, ...ANY_PORTS, ...HOUSEHOLD, 'serve'])
    const server = `127.0.0.1:${served.ready.cmServer[0]?.port}`
    await json('account', 'add', 'alice@example.org', '--server', server)
    await json('account', 'add', 'bob@example.org', '--server', 'cm.example:8081')
    await eventually('alice is announced', () => look().announced === 1)
    const { authKey, keyId } = look()
    // Bob moves in: what he tells his network changes while the bridge runs.
    const bob = await json<Shown>('account', 'set', 'bob', '--server', server, '--old-server', 'none')
    expect(bob.hasAuthKey.own).toBe(true)
    await eventually('bob is announced too', () => look().announced === 2)
    await json('account', 'remove', 'alice')
    const client = await WireClient.connectSecure(served.ready.cmServer[0]?.port ?? 0)
    expect(await client.ask(`LOGIN ${keyId.toUpperCase()} ${authKey}`)).toBe('FAILED')
    client.destroy()
    expect(await served.end('SIGTERM')).toBe(0)

    // And while nothing runs, on the port it had.
    const again = ['--set', 'cmServer.enabled=true', '--set', `cmServer.listen=${server}`]
    await json('account', 'add', 'carol@example.org', '--server', server, ...again)
    await startServe(['--data', data, ...ANY_PORTS, ...again, 'serve'])
    await eventually('carol is announced', () => look().announced === 2)
  })
})

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { acquireInstanceLock } from '../../src/store/instance-lock.ts'
import { cmbridge } from '../support/command-line.ts'
import { shortDirectory } from '../support/short-directory.ts'
import { vectorPath } from '../support/vectors.ts'

/** `cmbridge` as a user or a script calls it. */

const FINGERPRINT = /^[0-9a-f]{40}$/
const APP_PASSWORD = /^[0-9a-z]{4}(-[0-9a-z]{4}){5}$/

let data: string
beforeEach(() => {
  data = join(shortDirectory(), 'Büro Müller')
})

const on = (...args: string[]) => cmbridge(['--data', data, ...args])

async function json<T>(...args: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await on(...args, '--json')
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
  return JSON.parse(stdout) as T
}

interface Added {
  readonly address: string
  readonly keyId: string
  readonly appPassword: string
}

describe('init', () => {
  it('makes a directory for its owner alone, and does no harm the second time', async () => {
    const made = await json<{ dataDirectory: string; authorityFile: string }>('init')
    expect(made.dataDirectory).toBe(data)
    const authority = readFileSync(made.authorityFile, 'utf8')
    expect(authority).toContain('BEGIN CERTIFICATE')
    expect(statSync(data).mode & 0o777).toBe(0o700)
    expect(statSync(join(data, 'tls', 'ca.key')).mode & 0o777).toBe(0o600)
    await json('init')
    expect(readFileSync(made.authorityFile, 'utf8')).toBe(authority)
  })

  it('says who has the directory when somebody has it', async () => {
    mkdirSync(data, { recursive: true })
    const outcome = acquireInstanceLock(data, { pid: 4711, startedAtMs: 0, verb: 'serve', runDirectory: '' })
    const { exitCode, stderr } = await on('init')
    if (outcome.kind === 'acquired') outcome.lock.release()
    expect(exitCode).toBe(1)
    expect(stderr).toContain('is in use by "cmbridge serve", process 4711, since 1970-01-01T00:00:00.000Z')
  })
})

describe('account', () => {
  it('add makes a key and shows a password once; list and remove know the account', async () => {
    const alice = await json<Added>(
      'account',
      'add',
      'Alice@Example.org',
      '--name',
      'Alice',
      '--server',
      '127.0.0.1:8081,[::1]:8082',
    )
    expect(alice).toMatchObject({ address: 'alice@example.org' })
    expect(alice.keyId).toMatch(FINGERPRINT)
    expect(alice.appPassword).toMatch(APP_PASSWORD)
    expect(await json('account', 'list')).toMatchObject([
      {
        address: 'alice@example.org',
        displayName: 'Alice',
        keyId: alice.keyId,
        servers: ['127.0.0.1:8081', '[::1]:8082'],
      },
    ])
    const { stdout } = await on('account', 'list', '--json')
    expect(stdout).not.toContain(alice.appPassword)
    await json('account', 'remove', 'alice')
    expect(await json('account', 'list')).toEqual([])
  })

  it('add takes an OpenPGP key of the owner', async () => {
    const key = vectorPath('transcripts/keys/alice.secret.asc')
    if (key === undefined) throw new Error('the vector is missing')
    const other = await on('account', 'add', 'nobody@example.org', '--key', key)
    expect(other).toMatchObject({ exitCode: 1, stdout: '' })
    expect(other.stderr).toMatch(/^cmbridge: the key does not carry nobody@example\.org: /)
  })

  it.each([
    [['not an address'], '"not an address" is no address: give one like alice@example.org'],
    [['a@example.org', '--server', 'nonsense'], '"nonsense" is no server: give HOST:PORT'],
    [['a@example.org', '--name', 'A <b>'], '"A <b>" cannot be a name'],
    [['a@example.org', '--auth-key', 'two words'], 'the authentication key must be one word'],
  ])('add refuses %j in one line', async (args, message) => {
    const { exitCode, stderr } = await on('account', 'add', ...args)
    expect(exitCode).toBe(1)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).toContain(message)
  })

  it('add refuses an address that is here, whatever its case', async () => {
    await json('account', 'add', 'alice@example.org')
    const { exitCode, stderr } = await on('account', 'add', 'ALICE@example.org')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('alice@example.org is an account here already')
  })

  it('add gives the second alice no short name', async () => {
    await json('account', 'add', 'alice@example.org')
    await json('account', 'add', 'alice@example.net')
    expect(await json('account', 'list')).toMatchObject([
      { address: 'alice@example.net', shortName: 'alice@example.net' },
      { address: 'alice@example.org', shortName: 'alice' },
    ])
  })

  it('add waits its turn: two at a time both work', async () => {
    const added = await Promise.all([
      json<Added>('account', 'add', 'a@x.org'),
      json<Added>('account', 'add', 'b@x.org'),
    ])
    expect(added.map(({ address }) => address)).toEqual(['a@x.org', 'b@x.org'])
  })

  it('remove names an account that is not there', async () => {
    await json('init')
    expect(await on('account', 'remove', 'bob')).toMatchObject({
      exitCode: 1,
      stderr: 'cmbridge: no account bob here; "cmbridge account list" shows those there are\n',
    })
  })
})

describe('info and status', () => {
  it('show the settings for a mail program without the bridge', async () => {
    await json('init')
    await json('account', 'add', 'alice@example.org')
    expect(await json('info', '--set', 'imap.tlsPort=off')).toMatchObject({
      running: false,
      imap: { host: '127.0.0.1', port: 1143, tlsPort: null },
      smtp: { host: '127.0.0.1', port: 1025, tlsPort: 1465 },
      authorityFile: join(data, 'tls', 'ca.pem'),
      accounts: [{ user: 'alice@example.org', shortName: 'alice' }],
    })
    const { stdout } = await on('info', 'alice')
    expect(stdout).toContain('IMAP       127.0.0.1   port 1143 (STARTTLS) or port 1993 (SSL/TLS)')
    expect(stdout).toContain('alice@example.org')
    expect(await json('status')).toMatchObject({ running: false, pid: null, accounts: 1, failing: [] })
  })

  it('say how to set up a directory that is not, and leave it alone', async () => {
    for (const verb of ['info', 'status']) {
      const { exitCode, stderr } = await on(verb)
      expect(exitCode).toBe(1)
      expect(stderr).toBe(`cmbridge: ${data} is not set up yet: run "cmbridge init"\n`)
    }
    expect(existsSync(data)).toBe(false)
  })

  it('work beside a process that has the lock', async () => {
    await json('init')
    const outcome = acquireInstanceLock(data, { pid: 1, startedAtMs: 0, verb: 'serve', runDirectory: '' })
    await json('info')
    await json('status')
    expect(await json('account', 'list')).toEqual([])
    if (outcome.kind === 'acquired') outcome.lock.release()
  })
})

describe('the command line', () => {
  it('prints its version', async () => {
    const version = await json<{ version: string; node: string }>('version')
    expect(version.node).toBe(process.versions.node)
    expect((await cmbridge(['--version'])).stdout).toBe(`${version.version}\n`)
  })

  it.each([
    [[], 'no verb given; see cmbridge --help'],
    [['nonsense'], "unknown command 'nonsense'"],
    [['version', '--nonsense'], "unknown option '--nonsense'"],
    [['account', 'add'], "missing required argument 'address'"],
    [['--set', 'smtp.port=many', 'init'], 'smtp.port = "many" (--set): give a whole number'],
    [['--config', '/does/not/exist', 'init'], '/does/not/exist: no such settings file'],
  ])('%j is misuse, told in one line', async (args, message) => {
    const { exitCode, stdout, stderr } = await cmbridge(['--data', data, ...args])
    expect(exitCode).toBe(2)
    expect(stdout).toBe('')
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).toContain(message)
  })

  it('finds its data by $CMBRIDGE_DATA, and its settings in there', async () => {
    mkdirSync(data, { recursive: true })
    writeFileSync(join(data, 'cmbridge.jsonc'), '{ "imap": { "port": 2143 } }')
    expect((await cmbridge(['init'], { CMBRIDGE_DATA: data })).exitCode).toBe(0)
    const { stdout } = await cmbridge(['info', '--json'], { CMBRIDGE_DATA: data, CMBRIDGE_SMTP_PORT: '2025' })
    expect(JSON.parse(stdout)).toMatchObject({ imap: { port: 2143 }, smtp: { port: 2025 } })
  })

  it('ends in one line where it may not write', async () => {
    const file = join(shortDirectory(), 'a-file')
    writeFileSync(file, '')
    const { exitCode, stderr } = await cmbridge(['--data', join(file, 'data'), 'init'])
    expect(exitCode).toBe(1)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).toContain(file)
    rmSync(file)
  })
})

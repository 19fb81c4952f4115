import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { unarmor } from 'openpgp'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { parseAccountConfig } from '../../src/cm/account-config.ts'
import { exportSecretKey, generateKey } from '../../src/cm/openpgp/secret-keys.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import { loadInstallCertificates } from '../../src/net/install-certificates.ts'
import { openStoreForReading } from '../../src/store/open-store.ts'
import { cmbridge } from '../support/command-line.ts'
import { shortDirectory } from '../support/short-directory.ts'

/** From the original client's account directory and back to it, and the autoconfig document (CM message 10.1 to 10.3). */

const ADDRESS = 'alice@example.org'
const OTHER = 'e6e73df5920e7325f02029372afa2d8ead20d7fa'
const TOKEN = 'e5353879bd69bfddcb465dad176ff52db8319d6f'
const SECOND = '21831e61a8ce1a8061ec35002ecba0c057940380'
const DATE = '2025-01-10T00:00:00Z'
const PASSPHRASE = 'correct horse'

let key: SecretKey
let root: string
let source: string
let data: string

const on = (...args: string[]) => cmbridge(['--data', data, '--json', ...args])
async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr } = await on(...args)
  expect(stderr).toBe('')
  return JSON.parse(stdout) as T
}

interface Imported {
  readonly address: string
  readonly keyId: string
  readonly appPassword: string | null
  readonly taken: readonly string[]
  readonly notTaken: readonly string[]
  readonly settings: readonly string[]
}
interface Shown {
  readonly account: { readonly servers: readonly string[]; readonly network: Record<string, unknown> }
  readonly hasAuthKey: Record<string, boolean>
}

/** Everything below a directory with size and time, so that a write would show. */
function stateOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true }).map((name) => {
    const { size, mtimeMs, mode } = statSync(join(directory, String(name)))
    return `${name} ${size} ${mtimeMs} ${mode}`
  })
}

beforeAll(async () => {
  key = await generateKey({ name: 'Alice', address: ADDRESS, nowMs: Date.now() - 30 * 86_400_000 })
})

beforeEach(async () => {
  root = shortDirectory()
  source = join(root, 'confidantmail', 'alice')
  data = join(root, 'data')
  mkdirSync(join(source, 'gpg', 'private-keys-v1.d'), { recursive: true })
  writeFileSync(join(source, 'gpg', 'private-keys-v1.d', 'x.key'), '')
  writeFileSync(join(source, 'LOCKFILE'), '')
  writeFileSync(
    join(source, 'config.txt'),
    [
      `Keyid: ${key.certificate.keyId.toUpperCase()}`,
      `EmailAddress: Alice <${ADDRESS}>`,
      'SenderProofOfWork: bd,32,2',
      'PrevSenderProofOfWork: bd,24,2',
      'Mailboxes: 0,1',
      'PrevMailboxes: 0,1,2,3',
      'Transport: server=cm.example.org:8081',
      'AuthKey: ABCDEFGH12345678',
      'EntangledServer: server=cm.example.org:8081',
      'OldTransport: server=old.example.org:8081',
      'OldAuthKey: OLDKEY12',
      'EndPollOldDate: 2099-01-01',
      'PubTransport: server=pub.example.org:8081',
      'PubAuthKey: PUBKEY12',
      'TorProxy: 127.0.0.1:9050',
      'FolderSync: 600',
      'SenderName: unknown',
      '',
    ].join('\n'),
  )
  writeFileSync(
    join(source, 'bypass_tokens.txt'),
    `# in/out,keyid,tokenhash,create_time,expire_time\nout,${OTHER},${TOKEN},${DATE},neverin,${OTHER},${SECOND},create_time,expire_time\nrubbish\n`,
  )
  writeFileSync(join(root, 'pass'), `${PASSPHRASE}\n`)
  const locked = await exportSecretKey(key, new Secret(PASSPHRASE))
  writeFileSync(join(root, 'secret.asc'), locked.reveal())
})

const importIt = () =>
  json<Imported>(
    ...['account', 'import', source, '--key', join(root, 'secret.asc')],
    ...['--passphrase-file', join(root, 'pass')],
  )

describe('account import', () => {
  it('takes over key, servers, costs and tokens, says what it did not take, and writes nothing there', async () => {
    const before = stateOf(source)
    const imported = await importIt()
    expect(imported).toMatchObject({
      address: ADDRESS,
      keyId: key.certificate.keyId,
      appPassword: expect.any(String),
      settings: ['cm.torProxy=127.0.0.1:9050'],
      notTaken: ['bypass_tokens.txt, lines that cannot be read: 3'],
    })
    expect(imported.taken).toContain('2 bypass tokens')
    const shown = await json<Shown>('account', 'show', ADDRESS)
    expect(shown).toMatchObject({
      account: {
        servers: ['cm.example.org:8081'],
        displayName: 'Alice',
        network: {
          mailboxCount: 2,
          costBits: 32,
          previous: { mailboxCount: 4, costBits: 24 },
          old: { servers: ['old.example.org:8081'] },
          publishServers: ['pub.example.org:8081'],
          appliesFolderSync: true,
        },
      },
      hasAuthKey: { own: true, old: true, publish: true },
    })
    expect(stateOf(source)).toEqual(before)
  })

  it('takes over that there were more mailboxes than a new account has', async () => {
    const config = join(source, 'config.txt')
    const text = readFileSync(config, 'utf8')
    writeFileSync(
      config,
      text
        .replace('Mailboxes: 0,1\n', 'Mailboxes: 0,1,2,3\n')
        .replace('PrevMailboxes: 0,1,2,3', 'PrevMailboxes: 0,1,2,3,4,5,6,7'),
    )
    await importIt()
    const shown = await json<Shown>('account', 'show', ADDRESS)
    expect(shown.account.network).toMatchObject({ mailboxCount: 4, previous: { mailboxCount: 8 } })
  })

  it('the second time changes nothing', async () => {
    await importIt()
    const dump = () => {
      const read = openStoreForReading(data)
      try {
        const count = (table: string) => read.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)?.n
        return ['accounts', 'keys', 'bypass_secrets', 'app_passwords'].map(count)
      } finally {
        read.close()
      }
    }
    const [rows, shown] = [dump(), await json<Shown>('account', 'show', ADDRESS)]
    expect(await importIt()).toMatchObject({ appPassword: null })
    expect(dump()).toEqual(rows)
    expect((await json<Shown>('account', 'show', ADDRESS)).account).toEqual(shown.account)
  })

  it('without a key says the gpg command that exports it', async () => {
    const { exitCode, stderr } = await on('account', 'import', source)
    expect(exitCode).toBe(2)
    const home = JSON.stringify(join(source, 'gpg'))
    expect(stderr).toContain(
      `gpg --homedir ${home} --armor --output secret.asc --export-secret-keys ${key.certificate.keyId}`,
    )
  })

  it('reads the secret keyring of GnuPG 1, which has trust packets between its keys', async () => {
    rmSync(join(source, 'gpg', 'private-keys-v1.d'), { recursive: true })
    const other = await generateKey({ name: 'Other', address: 'other@example.org', nowMs: Date.now() - 1000 })
    const trust = Buffer.from([0xb0, 0x02, 0x00, 0x03])
    const rings = await Promise.all(
      [other, key].map(async ({ armored }) =>
        Buffer.from((await unarmor(armored.reveal())).data as Uint8Array),
      ),
    )
    writeFileSync(join(source, 'gpg', 'secring.gpg'), Buffer.concat(rings.flatMap((ring) => [ring, trust])))
    const imported = await json<Imported>('account', 'import', source)
    expect(imported).toMatchObject({ address: ADDRESS, keyId: key.certificate.keyId })
  })

  it('refuses another key than the one the directory names, and stores nothing', async () => {
    const other = await generateKey({ name: 'Alice', address: ADDRESS, nowMs: Date.now() - 1000 })
    writeFileSync(join(root, 'other.asc'), other.armored.reveal())
    const { exitCode, stderr } = await on('account', 'import', source, '--key', join(root, 'other.asc'))
    expect(exitCode).toBe(1)
    expect(stderr).toContain(other.certificate.keyId)
    expect(await json('account', 'list')).toEqual([])
  })

  it('of what is no account directory says so', async () => {
    expect(await on('account', 'import', root)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('config.txt'),
    })
  })

  const hasLocks = process.platform === 'linux' && spawnSync('flock', ['--version']).status === 0
  if (!hasLocks) console.log('skipped: locks cannot be seen here, or flock is not installed')
  it.skipIf(!hasLocks)('refuses while the original client holds its LOCKFILE', async () => {
    const holder = spawn('flock', [
      '--exclusive',
      join(source, 'LOCKFILE'),
      'sh',
      '-c',
      'echo held; read wait',
    ])
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve))
      const { exitCode, stderr } = await on('account', 'import', source, '--key', join(root, 'secret.asc'))
      expect(exitCode).toBe(1)
      expect(stderr).toContain('in use: end it first')
    } finally {
      holder.stdin.end()
    }
  })
})

describe('account export', () => {
  it('gives what account import takes: the account is the same in another bridge', async () => {
    await importIt()
    const out = join(root, 'out')
    await json('account', 'export', ADDRESS, out, '--passphrase-file', join(root, 'pass'))
    expect(readdirSync(out).sort()).toEqual(['bypass_tokens.txt', 'config.txt', 'secret.asc'])
    for (const name of readdirSync(out)) expect(statSync(join(out, name)).mode & 0o777).toBe(0o600)
    expect(parseAccountConfig(readFileSync(join(out, 'config.txt'), 'utf8'))).toMatchObject({
      mailboxCount: 2,
      previousMailboxCount: 4,
      costBits: 32,
      previousCostBits: 24,
      endPollOldDate: '2099-01-01',
      complaints: [],
    })
    expect(readFileSync(join(out, 'bypass_tokens.txt'), 'utf8')).toContain(
      `\nout,${OTHER},${TOKEN},${DATE},never\n`,
    )
    const before = await json<Shown>('account', 'show', ADDRESS)
    data = join(root, 'second')
    await json(
      'account',
      'import',
      out,
      '--key',
      join(out, 'secret.asc'),
      '--passphrase-file',
      join(root, 'pass'),
    )
    const after = await json<Shown>('account', 'show', ADDRESS)
    expect(after.account.servers).toEqual(before.account.servers)
    expect(after.account.network).toMatchObject({
      ...before.account.network,
      previous: { mailboxCount: 4, costBits: 24 },
      // Folder sync is not spoken towards other clients: an exported account does not ask for it.
      appliesFolderSync: false,
    })
    expect(after.hasAuthKey).toEqual(before.hasAuthKey)
  })

  it('writes no secret without a passphrase unless told to, and nothing into a directory that has something', async () => {
    await importIt()
    const out = join(root, 'out')
    expect(await on('account', 'export', ADDRESS, out)).toMatchObject({ exitCode: 2 })
    expect(await on('account', 'export', ADDRESS, source, '--no-passphrase')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('not empty'),
    })
    await json('account', 'export', ADDRESS, out, '--no-passphrase')
    expect(readFileSync(join(out, 'secret.asc'), 'utf8')).toContain('PRIVATE KEY')
  })
})

describe('account add --autoconfig', () => {
  const add = (text: string, ...more: string[]) => {
    const file = join(root, 'autoconfig.txt')
    writeFileSync(file, text)
    return on('account', 'add', ADDRESS, '--autoconfig', file, ...more)
  }
  const document = (...lines: string[]): string =>
    ['Your account:', '#BEGIN_CONFIG#', ...lines, '#END_CONFIG#', 'Have fun'].join('\r\n')

  it('takes servers and key from the document, and says what is for the settings', async () => {
    const { stdout, stderr } = await add(
      document(
        'Transport: server=other.example.org:1',
        'EntangledServer: server=cm.example.org:8081',
        'AuthKey: ABCDEFGH',
        'PubTransport: server=server=pub.example.org:8081',
        'PubAuthKey: PUBKEY12',
        'ProxyTOR: True',
        'Mailboxes: 0,1',
      ),
    )
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({ settings: ['cm.postByProxy=["tor"]'] })
    expect(stdout).toContain('EntangledServer is what counts')
    expect(await json<Shown>('account', 'show', ADDRESS)).toMatchObject({
      account: { servers: ['cm.example.org:8081'], network: { publishServers: ['pub.example.org:8081'] } },
      hasAuthKey: { own: true, publish: true },
    })
  })

  it('lets what is given on the command line count', async () => {
    const given = document('Transport: server=cm.example.org:8081', 'AuthKey: ABCDEFGH')
    await add(given, '--server', 'mine.example.org:1', '--auth-key', 'none')
    expect(await json<Shown>('account', 'show', ADDRESS)).toMatchObject({
      account: { servers: ['mine.example.org:1'] },
      hasAuthKey: { own: false },
    })
  })

  it.each([
    ['Transport: server=cm.example.org:8081', 'no lines #BEGIN_CONFIG#'],
    [document('AuthKey: ABCDEFGH'), 'names no server'],
  ])('refuses %j', async (text, words) => {
    expect(await add(text)).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(words) })
    expect(await json('account', 'list')).toEqual([])
  })

  it('comes over https from a server with a valid certificate, and from no other', async () => {
    const tls = join(root, 'tls')
    const made = await loadInstallCertificates(tls, {
      hostName: 'localhost',
      extraNames: [],
      nowMs: Date.now(),
    })
    const { privateKeyPem, certificatePem } = made.leaf
    const text = document('EntangledServer: server=cm.example.org:8081', 'AuthKey: ABCDEFGH')
    const server = createServer({ key: privateKeyPem, cert: certificatePem }, (_request, response) => {
      response.end(text)
    })
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
    })
    const args = ['--data', data, 'account', 'add', ADDRESS, '--autoconfig', `https://localhost:${port}/x`]
    try {
      const unknown = await cmbridge(args)
      expect(unknown).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('certificate is not valid'),
      })
      expect(await json('account', 'list')).toEqual([])
      const known = await cmbridge(args, { NODE_EXTRA_CA_CERTS: made.authorityFile })
      expect(known).toMatchObject({ exitCode: 0, stderr: '' })
    } finally {
      server.close()
    }
    expect(await json<Shown>('account', 'show', ADDRESS)).toMatchObject({
      account: { servers: ['cm.example.org:8081'] },
    })
  })

  it('does not go over plain http', async () => {
    const { stderr, exitCode } = await on(
      'account',
      'add',
      ADDRESS,
      '--autoconfig',
      'http://cm.example.org/x',
    )
    expect(exitCode).toBe(1)
    expect(stderr).toContain('only https')
  })
})

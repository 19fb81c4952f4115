import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { ImapFlow } from 'imapflow'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { cmbridge } from '../support/command-line.ts'
import { hasProgram } from '../support/programs.ts'
import { ANY_PORTS, type ReadyEvent, type Served, startServe } from '../support/serve.ts'
import { shortDirectory } from '../support/short-directory.ts'

/** `cmbridge serve` from start to end: cases O07, O10 and O11. */

/** Milliseconds from the command to the ready line (design 14), with room for a machine that does other things. */
const START_LIMIT_MS = 10 * 1500

let data: string
beforeEach(() => {
  data = join(shortDirectory(), 'data')
})

const on = (...args: string[]) => cmbridge(['--data', data, ...args])
const serve = (...args: string[]): Promise<Served> =>
  startServe(['--data', data, ...ANY_PORTS, 'serve', ...args])

async function addAccount(address: string): Promise<string> {
  const { stdout, stderr } = await on('account', 'add', address, '--json')
  expect(stderr).toBe('')
  return (JSON.parse(stdout) as { appPassword: string }).appPassword
}

/** Logs in over STARTTLS, trusting the installation's authority, and says which mailboxes are there. */
async function mailboxes(ready: ReadyEvent, user: string, password: string): Promise<string[]> {
  const address = ready.imap.find(({ host, implicitTls }) => host === '127.0.0.1' && !implicitTls)
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: address?.port ?? 0,
    secure: false,
    doSTARTTLS: true,
    auth: { user, pass: password },
    tls: { ca: readFileSync(ready.authorityFile), servername: 'localhost' },
    logger: false,
  })
  await client.connect()
  const names = (await client.list()).map(({ path }) => path)
  await client.logout()
  return names
}

/** Takes a port as another program would. */
async function occupy(host: string): Promise<number> {
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  onTestFinished(() => {
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

describe.skipIf(!hasProgram('redis-server'))('serve', () => {
  it('is ready in a moment, serves its accounts, and ends well when it is told to', async () => {
    const before = performance.now()
    const served = await serve()
    expect(performance.now() - before).toBeLessThan(START_LIMIT_MS)
    expect(served.ready.smtp.length).toBeGreaterThanOrEqual(2)
    // Through the control socket, while it runs.
    const password = await addAccount('alice@example.org')
    expect(await mailboxes(served.ready, 'alice@example.org', password)).toContain('INBOX')
    expect(await mailboxes(served.ready, 'alice', password)).toContain('Sent')
    expect(await served.end('SIGTERM')).toBe(0)
    expect(existsSync(join(data, 'lock.json'))).toBe(false)
  })

  it('tells info and status its real ports', async () => {
    const { ready } = await serve()
    const port = ready.imap.find(({ host, implicitTls }) => host === '127.0.0.1' && !implicitTls)?.port
    expect(JSON.parse((await on('info', '--json')).stdout)).toMatchObject({ running: true, imap: { port } })
    expect(JSON.parse((await on('status', '--json')).stdout)).toMatchObject({ running: true, pid: ready.pid })
  })

  it('is refused beside another one, naming it, and runs on another directory (O11)', async () => {
    const { ready } = await serve()
    const second = await on(...ANY_PORTS, 'serve')
    expect(second.exitCode).toBe(1)
    expect(second.stderr).toContain(`is in use by "cmbridge serve", process ${ready.pid}, since `)
    data = join(shortDirectory(), 'other')
    await serve()
  })

  it('goes on at once after kill -9, with what was there', async () => {
    const first = await serve()
    const password = await addAccount('alice@example.org')
    await first.end('SIGKILL')
    const second = await serve()
    expect(await mailboxes(second.ready, 'alice@example.org', password)).toContain('INBOX')
    expect(await second.end('SIGINT')).toBe(0)
  })

  it('runs below a path too long for a socket, with blanks and umlauts (O07)', async () => {
    data = join(shortDirectory(), `Büro Müller ${'ä'.repeat(60)}`)
    expect(Buffer.byteLength(data)).toBeGreaterThan(140)
    const served = await serve()
    await addAccount('alice@example.org')
    expect(await served.end('SIGTERM')).toBe(0)
  })
})

describe('serve with a port that is taken (O10)', () => {
  it.each([
    ['127.0.0.1', 'imap.port', 'IMAP'],
    ['127.0.0.1', 'smtp.tlsPort', 'SMTP'],
    ['::1', 'imap.port', 'IMAP'],
  ])('%s, %s ends in one line and leaves the database alone', async (host, setting, protocol) => {
    const port = await occupy(host)
    const { exitCode, stdout, stderr } = await on(...ANY_PORTS, '--set', `${setting}=${port}`, 'serve')
    expect(exitCode).toBe(1)
    expect(stdout).toBe('')
    const where = host === '::1' ? `[::1]:${port}` : `${host}:${port}`
    expect(stderr).toContain(
      `cmbridge: ${protocol}: cannot listen on ${where}: another program uses this port`,
    )
    expect(stderr).toContain(setting)
    expect(stderr.split('\n').filter((line) => line.startsWith('cmbridge:'))).toHaveLength(1)
    expect(existsSync(join(data, 'bridge.db'))).toBe(false)
    expect(existsSync(join(data, 'lock.json'))).toBe(false)
  })
})

describe('serve without what it needs', () => {
  it('says in one line that redis-server is missing', async () => {
    const { exitCode, stderr } = await on(...ANY_PORTS, '--set', 'redis.program=no-such-redis', 'serve')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('cmbridge: no-such-redis is not installed: install it')
    expect(existsSync(join(data, 'lock.json'))).toBe(false)
  })

  it('says in one line that a shared Redis does not answer', async () => {
    mkdirSync(data)
    const { exitCode, stderr } = await on(
      ...ANY_PORTS,
      '--set',
      'redis.url=redis://:pass@127.0.0.1:1',
      'serve',
    )
    expect(exitCode).toBe(1)
    expect(stderr).toContain('cmbridge: Redis does not answer at redis://127.0.0.1:1')
    expect(stderr).not.toContain('pass@')
  }, 20_000)
})

describe('cm-server', () => {
  it('listens, refuses a second one on its directory, and ends well', async () => {
    const served = await startServe(['--data', data, 'cm-server', '--listen', '127.0.0.1:0'])
    expect(served.ready.cmServer).toMatchObject([{ host: '127.0.0.1' }])
    const second = await on('cm-server', '--listen', '127.0.0.1:0')
    expect(second.exitCode).toBe(1)
    expect(second.stderr).toContain(`process ${served.ready.pid}`)
    expect(await served.end('SIGTERM')).toBe(0)
  })

  it.each([
    [['--listen', 'nonsense'], 'cmServer.listen = "nonsense" (--set): give HOST:PORT'],
    [['--listen', '127.0.0.1:0', '--auth', '/does/not/exist'], '/does/not/exist: no such account file'],
  ])('refuses %j as misuse', async (args, message) => {
    const { exitCode, stderr } = await on('cm-server', ...args)
    expect(exitCode).toBe(2)
    expect(stderr).toContain(message)
  })
})

import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../../../src/base/secret.ts'
import { connectCmServer } from '../../../../src/cm/client/connect-cm-server.ts'
import { withServers } from '../../../../src/cm/client/with-servers.ts'
import type { BlockKey } from '../../../../src/cm/ids.ts'
import { anyAddress, publicAddressesExcept } from '../../../../src/net/address-guard.ts'
import { createAuthority, createLeaf } from '../../../../src/net/certificates.ts'
import { createServerTls } from '../../../../src/net/server-tls.ts'
import {
  clientEnvironment,
  MemoryCertificates,
  type ScriptConnection,
  type ScriptedServer,
  startScriptedServer,
} from '../../../support/cm-client-support.ts'

const KEY = '0123456789abcdef0123456789abcdef01234567' as BlockKey
const USER = 'c38830c357ef0aea6992fb756a7e1664812ebed4'
const AUTH_KEY = new Secret('ACCOUNTKEY000001')

const servers: ScriptedServer[] = []

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

async function start(script: (connection: ScriptConnection) => Promise<void>): Promise<number> {
  const server = await startScriptedServer(script)
  servers.push(server)
  return server.port
}

/** Greets and answers each command from the table; `undefined` hangs up. Returns the log of commands. */
function answering(
  log: string[],
  answers: Record<string, string | undefined>,
  tls?: ReturnType<typeof createServerTls>,
) {
  return async (connection: ScriptConnection) => {
    await connection.greet(tls)
    for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
      log.push(line)
      const answer = answers[line.split(' ', 1)[0] ?? '']
      if (answer === undefined) return
      await connection.send(answer)
    }
  }
}

describe('the certificate of a server', () => {
  it('is remembered at first sight and recognised afterwards', async () => {
    const port = await start(answering([], { QUIT: 'GOODBYE\r\n' }))
    const certificateMemory = new MemoryCertificates()
    const environment = clientEnvironment({ certificateMemory })
    const first = await connectCmServer({ host: '127.0.0.1', port, judge: anyAddress }, environment)
    await first.quit()
    const second = await connectCmServer({ host: '127.0.0.1', port, judge: anyAddress }, environment)
    await second.quit()
    expect([first.certificate, second.certificate]).toEqual(['first-seen', 'known'])
    expect(certificateMemory.records.get(`127.0.0.1:${port}`)?.description).toContain('CN=localhost')
  })

  it('that changed never sees the auth key, while reading goes on and the old record stays', async () => {
    const log: string[] = []
    const port = await start(answering(log, { GET: 'NOT FOUND\r\n', QUIT: 'GOODBYE\r\n' }))
    const certificateMemory = new MemoryCertificates()
    const old = { sha256: 'another', description: 'another', firstSeenMs: 1 }
    certificateMemory.records.set(`127.0.0.1:${port}`, old)
    const environment = clientEnvironment({ certificateMemory })
    const session = await connectCmServer({ host: '127.0.0.1', port, judge: anyAddress }, environment)
    expect(session.certificate).toBe('changed')
    expect(await session.login(USER, AUTH_KEY)).toEqual({ kind: 'certificate-changed' })
    expect(await session.getBlock(KEY)).toEqual({ kind: 'not-found' })
    await session.quit()
    expect(log).toEqual([`GET SERVER ${KEY}`, 'QUIT'])
    expect(certificateMemory.records.get(`127.0.0.1:${port}`)).toBe(old)
    expect(certificateMemory.reports).toEqual([{ kind: 'changed', hostPort: `127.0.0.1:${port}` }])
  })

  it.each([
    ['localhost', 'replaced', 'DONE'],
    ['other.example', 'changed', 'none'],
  ])('that authorities vouch for, asked for as %s: %s', async (host, state, loginReply) => {
    const nowMs = Date.now()
    const authority = await createAuthority({ names: ['localhost', '127.0.0.1'], label: 'test', nowMs })
    const leaf = await createLeaf({ authority, names: ['localhost'], nowMs })
    const log: string[] = []
    const port = await start(
      answering(log, { LOGIN: 'DONE\r\n', QUIT: 'GOODBYE\r\n' }, createServerTls(leaf)),
    )
    const certificateMemory = new MemoryCertificates()
    certificateMemory.records.set(`${host}:${port}`, { sha256: 'old', description: '', firstSeenMs: 1 })
    const environment = clientEnvironment({
      certificateMemory,
      authorities: [authority.certificatePem],
      resolveHost: async () => ['127.0.0.1'],
    })
    const session = await connectCmServer({ host, port, judge: anyAddress }, environment)
    expect(session.certificate).toBe(state)
    const reply = await session.login(USER, AUTH_KEY)
    expect(reply.kind === 'ok' ? 'DONE' : 'none').toBe(loginReply)
    expect(certificateMemory.reports.map(({ kind }) => kind)).toEqual([state])
    await session.quit()
  })
})

describe('LOGIN', () => {
  it('sends the key id in upper case and reports a refusal as an outcome', async () => {
    const log: string[] = []
    const port = await start(answering(log, { LOGIN: 'FAILED\r\n', QUIT: 'GOODBYE\r\n' }))
    const session = await connectCmServer({ host: '127.0.0.1', port, judge: anyAddress }, clientEnvironment())
    expect(await session.login(USER, AUTH_KEY)).toEqual({ kind: 'refused' })
    await session.quit()
    expect(log[0]).toBe(`LOGIN ${USER.toUpperCase()} ACCOUNTKEY000001`)
  })
})

describe('withServers', () => {
  const inOrder = (below: number) => below - 1

  async function request(ports: readonly number[]) {
    return {
      servers: ports.map((port) => ({ host: '127.0.0.1', port })),
      judge: anyAddress,
      environment: clientEnvironment(),
      randomInt: inOrder,
    }
  }

  it('asks again at the next server when one hangs up after the command', async () => {
    const logs: string[][] = [[], []]
    const first = await start(answering(logs[0]!, {}))
    const second = await start(
      answering(logs[1]!, { STORE: '', EndBlock: 'DONE\r\n', 'A:': '', QUIT: 'GOODBYE\r\n' }),
    )
    const outcome = await withServers(await request([first, second]), async (session) => {
      const reply = await session.storeText(KEY, 'A: b\n')
      return reply.kind === 'done' ? { kind: 'done', value: 'stored' } : { kind: 'next', reason: 'refused' }
    })
    expect(outcome).toMatchObject({
      kind: 'done',
      value: 'stored',
      hostPort: `127.0.0.1:${second}`,
      failures: [{ hostPort: `127.0.0.1:${first}`, reason: 'closed' }],
    })
    expect(logs[1]).toEqual([`STORE SERVER ${KEY}`, 'A: b', 'EndBlock', 'QUIT'])
  })

  it('says why each server did not do', async () => {
    const busy = await start((c) => c.send('CONFIDANT MAIL SERVER PROTOCOL 1 BUSY\r\n'))
    const empty = await start(answering([], { GET: 'NOT FOUND\r\n', QUIT: 'GOODBYE\r\n' }))
    const base = await request([busy, empty])
    const outcome = await withServers(
      { ...base, servers: [...base.servers, { host: 'abcdef.onion', port: 8081 }] },
      async (session) => {
        const reply = await session.getBlock(KEY)
        return reply.kind === 'block'
          ? { kind: 'done', value: reply.text }
          : { kind: 'next', reason: 'not-found' }
      },
    )
    expect(outcome).toEqual({
      kind: 'all-failed',
      failures: [
        { hostPort: `127.0.0.1:${busy}`, reason: 'busy' },
        { hostPort: `127.0.0.1:${empty}`, reason: 'not-found' },
        { hostPort: 'abcdef.onion:8081', reason: 'no-proxy' },
      ],
    })
  })

  it('logs in first and goes on to the next server when that is refused', async () => {
    const port = await start(answering([], { LOGIN: 'FAILED\r\n', QUIT: 'GOODBYE\r\n' }))
    const login = { userId: USER, authKey: AUTH_KEY }
    const outcome = await withServers({ ...(await request([port])), login }, async () => {
      throw new Error('must not be reached')
    })
    expect(outcome).toMatchObject({ kind: 'all-failed', failures: [{ reason: 'login-refused' }] })
  })

  it('does not contact a private address that only the network named', async () => {
    const port = await start(answering([], {}))
    const outcome = await withServers(
      { ...(await request([port])), judge: publicAddressesExcept([]) },
      async () => ({ kind: 'done', value: 1 }),
    )
    expect(outcome).toMatchObject({ kind: 'all-failed', failures: [{ reason: 'forbidden-address' }] })
  })

  it('goes to no further server once nobody waits any more', async () => {
    const logs: string[][] = [[], []]
    const ports = [await start(answering(logs[0]!, {})), await start(answering(logs[1]!, {}))]
    const ended = new AbortController()
    const outcome = await withServers(
      { ...(await request(ports)), signal: ended.signal },
      async (session) => {
        ended.abort()
        await session.getBlock(KEY)
        return { kind: 'done', value: 1 }
      },
    )
    expect(outcome).toMatchObject({ kind: 'all-failed', failures: [{ hostPort: `127.0.0.1:${ports[0]}` }] })
    expect(logs[1]).toEqual([])
  })

  it('passes our own faults on', async () => {
    const port = await start(answering([], {}))
    const outcome = withServers(await request([port]), async () => {
      throw new Error('our fault')
    })
    await expect(outcome).rejects.toThrow('our fault')
  })
})

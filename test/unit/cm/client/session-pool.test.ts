import { afterEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../../../src/base/clock.ts'
import { Secret } from '../../../../src/base/secret.ts'
import type { CmSession } from '../../../../src/cm/client/cm-session.ts'
import { CmSessionPool } from '../../../../src/cm/client/session-pool.ts'
import { type ServersRequest, withServers } from '../../../../src/cm/client/with-servers.ts'
import type { BlockKey } from '../../../../src/cm/ids.ts'
import { anyAddress, publicAddressesExcept } from '../../../../src/net/address-guard.ts'
import {
  clientEnvironment,
  realClock,
  type ScriptConnection,
  type ScriptedServer,
  startScriptedServer,
} from '../../../support/cm-client-support.ts'

const KEY = '00112233445566778899aabbccddeeff00112233' as BlockKey

/** A clock whose timers run when the test says so; the waits for the network run for real. */
function handClock() {
  const due: { readonly atMs: number; readonly run: () => void }[] = []
  let nowMs = 0
  const clock: Clock = {
    now: () => nowMs,
    after(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, run: callback }
      due.push(timer)
      return () => void (due.includes(timer) && due.splice(due.indexOf(timer), 1))
    },
  }
  const pass = (ms: number): void => {
    nowMs += ms
    for (const timer of due.filter(({ atMs }) => atMs <= nowMs)) {
      due.splice(due.indexOf(timer), 1)
      timer.run()
    }
  }
  return { clock, pass }
}

let server: ScriptedServer | undefined
let pool: CmSessionPool | undefined

afterEach(async () => {
  await pool?.close()
  await server?.close()
  server = undefined
  pool = undefined
})

/** An honest server; returns what each connection said. */
async function honest(answers: Readonly<Record<string, string>> = {}): Promise<string[][]> {
  const heard: string[][] = []
  server = await startScriptedServer(async (connection) => {
    const lines: string[] = []
    heard.push(lines)
    await connection.greet()
    await answerAll(connection, lines, answers)
  })
  return heard
}

async function answerAll(
  connection: ScriptConnection,
  lines: string[],
  answers: Readonly<Record<string, string>>,
): Promise<void> {
  const usual = {
    QUIT: 'GOODBYE\r\n',
    GET: 'NOT FOUND\r\n',
    LOGIN: 'DONE\r\n',
    EndBlock: 'DONE\r\n',
    ...answers,
  }
  for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
    lines.push(line)
    const answer = Object.entries(usual).find(([word]) => line?.startsWith(word))?.[1]
    if (answer !== undefined) await connection.send(answer)
    if (line === 'QUIT') return
  }
}

function request(over: Partial<ServersRequest> = {}, clock: Clock = realClock()): ServersRequest {
  pool ??= new CmSessionPool(clock)
  return {
    servers: [{ host: '127.0.0.1', port: server?.port ?? 0 }],
    judge: anyAddress,
    environment: clientEnvironment({ sessions: pool }),
    randomInt: () => 0,
    ...over,
  }
}

const ask = async (session: CmSession) =>
  ({ kind: 'done', value: (await session.getBlock(KEY)).kind }) as const

const login = { userId: 'AA', authKey: new Secret('AUTHKEY1') }

describe('sessions that are kept', () => {
  it('serve the next task of the same kind, one task at a time', async () => {
    const heard = await honest()
    await withServers(request({ login }), ask)
    await withServers(request({ login }), ask)
    const outcomes = await Promise.all([
      withServers(request({ login }), ask),
      withServers(request({ login }), ask),
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['done', 'done'])
    const get = `GET SERVER ${KEY}`
    expect(heard).toEqual([
      ['LOGIN AA AUTHKEY1', get, get, get],
      ['LOGIN AA AUTHKEY1', get],
    ])
  })

  it.each<[string, Partial<ServersRequest>]>([
    ['another login', { login: { userId: 'AA', authKey: new Secret('AUTHKEY2') } }],
    ['no login', {}],
    ['another isolation', { login, isolation: 'another account' }],
    ['a judge that forbids the address', { login, judge: publicAddressesExcept([]) }],
  ])('are not given to %s', async (_, other) => {
    const heard = await honest()
    await withServers(request({ login }), ask)
    await withServers(request(other), ask)
    expect(heard[0]).toEqual(['LOGIN AA AUTHKEY1', `GET SERVER ${KEY}`])
  })

  it('say goodbye after a few seconds without work', async () => {
    const heard = await honest()
    const { clock, pass } = handClock()
    await withServers(request({}, clock), ask)
    pass(4_999)
    expect(pool?.idleCount).toBe(0)
    await pool?.close()
    expect(heard[0]?.at(-1)).toBe('QUIT')
  })

  it('are two at most for one server', async () => {
    const heard = await honest()
    await Promise.all([1, 2, 3, 4].map(() => withServers(request(), ask)))
    expect(pool?.idleCount).toBe(2)
    await pool?.close()
    expect(heard.map((lines) => lines.at(-1))).toEqual(['QUIT', 'QUIT', 'QUIT', 'QUIT'])
  })

  it('are left after STORE PROXY, since the reference passes blocks on when the connection closes', async () => {
    const heard = await honest()
    const text = 'Post-To: server=cm.example:8081\nType: acknowledgment\n'
    await withServers(request(), async (session) => {
      await session.storeText(KEY, text, { kind: 'proxy' })
      return { kind: 'done', value: undefined }
    })
    expect(pool?.idleCount).toBe(0)
    await pool?.close()
    expect(heard[0]?.at(-1)).toBe('QUIT')
  })

  it('are replaced by a new connection when the server has closed them meanwhile', async () => {
    let connections = 0
    server = await startScriptedServer(async (connection) => {
      connections += 1
      await connection.greet()
      await connection.line()
      await connection.send('NOT FOUND\r\n')
      connection.channel.destroy()
    })
    const outcomes = [await withServers(request(), ask), await withServers(request(), ask)]
    expect(outcomes.map(({ kind, failures }) => [kind, failures.length])).toEqual([
      ['done', 0],
      ['done', 0],
    ])
    expect(connections).toBe(2)
  })

  it('that break after an answer cost the server its turn, as any other session', async () => {
    let connections = 0
    server = await startScriptedServer(async (connection) => {
      connections += 1
      await connection.greet()
      for (const answer of ['NOT FOUND\r\n', 'NOT FOUND\r\n', '']) {
        await connection.line()
        await connection.send(answer)
      }
      connection.channel.destroy()
    })
    const twice = async (session: CmSession) => {
      await session.getBlock(KEY)
      return ask(session)
    }
    await withServers(request(), ask)
    const outcome = await withServers(request(), twice)
    expect(outcome.failures.map(({ reason }) => reason)).toEqual(['closed'])
    expect(connections).toBe(1)
  })

  it('are gone when the process closes, those in use too', async () => {
    const started = Promise.withResolvers<void>()
    server = await startScriptedServer(async (connection) => {
      await connection.greet()
      await connection.line()
      started.resolve()
      await connection.rest()
    })
    const { clock, pass } = handClock()
    const running = withServers(request({}, clock), ask)
    await started.promise
    const closing = pool?.close()
    pass(2_000)
    await closing
    expect(await running).toMatchObject({ kind: 'all-failed', failures: [{ reason: 'closed' }] })
  })
})

import { afterEach, describe, expect, it } from 'vitest'
import { askServers, type Question } from '../../src/bridge/ask-servers.ts'
import type { ServersRequest } from '../../src/cm/client/with-servers.ts'
import { parseBlockKey } from '../../src/cm/ids.ts'
import { anyAddress } from '../../src/net/address-guard.ts'
import { clientEnvironment, type ScriptedServer, startScriptedServer } from '../support/cm-client-support.ts'

/** Questions to servers that answer some, none, or break off (CM wire 8.2, S5). */

/** Milliseconds a silent server is waited for. */
const REPLY_MS = 1000

const servers: ScriptedServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

/** What a server does with a question: an answer, nothing for ever, or the end of the connection. */
type Behaviour = 'answers' | 'hangs' | 'closes' | 'refuses'

async function start(behaviour: (key: string) => Behaviour, asked: string[] = []): Promise<number> {
  const server = await startScriptedServer(async (connection) => {
    await connection.greet()
    for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
      const key = / (\d)\1{39}/.exec(line)?.[1]
      if (key === undefined) return connection.channel.destroy()
      asked.push(key)
      const does = behaviour(key)
      if (does === 'closes') return connection.channel.destroy()
      if (does === 'answers') await connection.send('NOT FOUND\r\n')
      if (does === 'refuses') await connection.send('FAILED\r\n')
    }
  })
  servers.push(server)
  return server.port
}

function request(...ports: number[]): ServersRequest {
  return {
    servers: ports.map((port) => ({ host: '127.0.0.1', port })),
    judge: anyAddress,
    environment: clientEnvironment({ timeouts: { replyMs: REPLY_MS } }),
    // The order given.
    randomInt: (below) => below - 1,
  }
}

function questions(count: number, answered: string[]): Question[] {
  return Array.from({ length: count }, (_, index) => {
    const key = parseBlockKey(String(index).repeat(40))
    if (key === undefined) throw new Error('no key')
    return {
      name: `question ${index}`,
      async ask(session) {
        const reply = await session.getBlock(key)
        if (reply.kind === 'refused') return 'refused'
        answered.push(String(index))
        return 'answered'
      },
    }
  })
}

describe('questions', () => {
  it('are answered on one connection when all goes well', async () => {
    const [asked, answered]: [string[], string[]] = [[], []]
    const outcome = await askServers(request(await start(() => 'answers', asked)), questions(4, answered))
    expect(outcome).toEqual({ complaint: undefined, isHeard: true, isComplete: true })
    expect(asked).toEqual(['0', '1', '2', '3'])
  })

  it('that break the connection are asked once more and left out, and the others are answered', async () => {
    const [asked, answered]: [string[], string[]] = [[], []]
    const port = await start((key) => (key === '1' ? 'closes' : 'answers'), asked)
    const outcome = await askServers(request(port), questions(4, answered))
    expect(outcome).toMatchObject({ isHeard: true, isComplete: true })
    expect(outcome.complaint).toMatch(/: question 1$/)
    expect(answered.sort()).toEqual(['0', '2', '3'])
    expect(asked.filter((key) => key === '1')).toHaveLength(2)
  })

  it('go to the next server when the first refuses, hangs or breaks off', async () => {
    const asked: string[] = []
    const first = await start(
      (key) => (['refuses', 'hangs', 'closes'] as const)[Number(key) % 3] ?? 'answers',
    )
    const answered: string[] = []
    const outcome = await askServers(
      request(first, await start(() => 'answers', asked)),
      questions(3, answered),
    )
    expect(outcome.complaint).toBeUndefined()
    expect(answered.sort()).toEqual(['0', '1', '2'])
  })

  it('are few for a server that never answers: each costs a time-out', async () => {
    const asked: string[] = []
    const outcome = await askServers(request(await start(() => 'hangs', asked)), questions(9, []))
    expect(outcome).toMatchObject({ isHeard: false, isComplete: false })
    expect(asked.length).toBeLessThanOrEqual(3)
  })

  it('are not complete when the server went away in between', async () => {
    let open = true
    const port = await start((key) => {
      if (key === '1') open = false
      return open ? 'answers' : 'closes'
    })
    const outcome = await askServers(request(port), questions(4, []))
    expect(outcome).toMatchObject({ isHeard: true, isComplete: false })
  })

  it('end at once when one says that nothing more is wanted', async () => {
    const asked: string[] = []
    const [first, ...others] = questions(3, [])
    const last: Question = { name: 'last', ask: async () => 'stop' }
    const all = [...(first === undefined ? [] : [first]), last, ...others]
    const outcome = await askServers(request(await start(() => 'answers', asked)), all)
    expect(outcome.complaint).toBeUndefined()
    expect(asked).toEqual(['0'])
  })
})

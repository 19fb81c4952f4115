import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import { dataProofInput, encodeDataBlockHeader } from '../../src/cm/data-block.ts'
import { type BlockKey, dataBlockKey, mailboxHash } from '../../src/cm/ids.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { AccountStages, announcementFor, hostPortOf } from '../support/account-stages.ts'
import { startScriptedServer } from '../support/cm-client-support.ts'
import { type TestCmServer, WireClient } from '../support/cm-server-support.ts'

/** Data blocks come from whoever has them, each once (CM wire 8.6, design 8.2). */

let stages: AccountStages
beforeEach(async () => {
  stages = await AccountStages.start()
})
afterEach(() => stages.close())

const PAYLOADS = [0, 1, 2].map(() => randomBytes(1000))
const KEYS = PAYLOADS.map(dataBlockKey)

const announcement = () =>
  announcementFor(stages.alice, { mailbox: '0', bits: 24, nowMs: stages.nowMs, blocks: KEYS })

async function upload(server: TestCmServer, lines: readonly string[], payload?: Uint8Array): Promise<void> {
  const client = await WireClient.connectSecure(server.port)
  client.send(`${lines.join('\r\n')}\r\n`)
  if (payload === undefined) client.send('EndBlock\r\n')
  else client.send(payload)
  expect(await client.line()).toBe('DONE')
  client.destroy()
}

async function postData(server: TestCmServer, index: number): Promise<void> {
  const payload = PAYLOADS[index] ?? Buffer.alloc(0)
  const date = formatUtcTime(Math.floor(stages.nowMs / 1000) * 1000)
  const proofOfWork = solveProofOfWork({ bits: 8, matches: 2 }, Buffer.concat(dataProofInput(date, payload)))
  const header = encodeDataBlockHeader({ date, proofOfWork, payloadBytes: payload.length })
  await upload(server, [`STORE SERVER ${KEYS[index]}`, ...header.trimEnd().split('\n')], payload)
}

async function announce(server: TestCmServer): Promise<void> {
  const { key, text } = announcement()
  await upload(server, [`STORE SERVER ${key}`, ...text.trimEnd().split('\n')])
}

const inbound = () =>
  stages.store.read.get<{ id: number; state: string }>('SELECT id, state FROM inbound_announcements')
const fetched = () =>
  stages.store.read
    .all<{ position: number }>(
      'SELECT position FROM inbound_blocks WHERE fetched_ms IS NOT NULL ORDER BY position',
    )
    .map(({ position }) => position)
const fetch = () => stages.run(`in${inbound()?.id}`, 'fetch')
const MOVED = { kind: 'moved', due: [{ stage: 'decode' }] }

describe('data blocks', () => {
  it('come in one pass from the replicas that have them', async () => {
    const servers = [await stages.startServer(), await stages.startServer()] as const
    await stages.addAlice(...servers)
    for (const server of servers) await announce(server)
    await postData(servers[0], 0)
    await postData(servers[1], 1)
    await postData(servers[0], 2)
    await stages.poll()
    expect(await fetch()).toMatchObject(MOVED)
    expect(fetched()).toEqual([0, 1, 2])
  })

  it('of a small message that cannot be opened at once lie on the disk before it is decoded', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    const blocks = KEYS.slice(0, 1)
    const given = { mailbox: '0', bits: 24, nowMs: stages.nowMs, blocks }
    const { key, text } = announcementFor(stages.alice, given)
    await upload(server, [`STORE SERVER ${key}`, ...text.trimEnd().split('\n')])
    await postData(server, 0)
    await stages.poll()
    expect(await fetch()).toMatchObject(MOVED)
    expect(inbound()).toMatchObject({ state: 'fetched' })
    expect(fetched()).toEqual([0])
    const path = `${stages.store.directory}/inbound/${inbound()?.id}/block-0`
    expect(await readFile(path)).toEqual(PAYLOADS[0])
  })

  it('come from the server the account left', async () => {
    const [before, after] = [await stages.startServer(), await stages.startServer()]
    await stages.addAlice(before)
    await announce(before)
    for (const index of [0, 1, 2]) await postData(before, index)
    await stages.poll()
    await stages.set({ servers: [hostPortOf(after)], authKey: stages.authKey })
    expect(await fetch()).toMatchObject(MOVED)
  })

  it('that are not there yet are waited for, and those that are stay', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    await announce(server)
    await postData(server, 1)
    await stages.poll()
    expect(await fetch()).toMatchObject({
      kind: 'retry',
      reason: expect.stringContaining('block 0, block 2'),
    })
    expect(fetched()).toEqual([1])
    await postData(server, 0)
    await postData(server, 2)
    expect(await fetch()).toMatchObject(MOVED)
  })

  it('are given up eleven days after they were announced, and nothing of them stays', async () => {
    const server = await stages.startServer()
    await stages.addAlice(server)
    await announce(server)
    await postData(server, 1)
    await stages.poll()
    await fetch()
    stages.advance(11 * duration.day)
    expect(await fetch()).toEqual({ kind: 'moved', due: [] })
    expect(inbound()).toMatchObject({ state: 'expired' })
    expect(existsSync(`${stages.store.directory}/inbound/${inbound()?.id}`)).toBe(false)
  })

  it('that are not what their key says keep the others from nobody, and are asked for elsewhere', async () => {
    const honest = await stages.startServer()
    await stages.addAlice(honest)
    const { text } = announcement()
    const asked: string[] = []
    const liar = await startLiar({ text, asked })
    try {
      await stages.set({ servers: [hostPortOf(liar)], authKey: stages.authKey, oldServers: [] })
      await stages.poll()
      expect(await fetch()).toMatchObject({ kind: 'retry', reason: expect.stringMatching(/: block 1$/) })
      expect(fetched()).toEqual([0, 2])
      asked.length = 0
      await fetch()
      expect(new Set(asked)).toEqual(new Set([KEYS[1]]))
      for (const index of [0, 1, 2]) await postData(honest, index)
      await stages.set({ servers: [hostPortOf(liar), hostPortOf(honest)] })
      expect(await fetch()).toMatchObject(MOVED)
    } finally {
      await liar.close()
    }
  })

  /** Has all blocks, the second with one octet changed. */
  function startLiar({ text, asked }: { readonly text: string; readonly asked: string[] }) {
    const mailbox = mailboxHash('0', stages.alice.keyId)
    return startScriptedServer(async (connection) => {
      await connection.greet()
      for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
        const key = / ([0-9a-f]{40})/.exec(line)?.[1] as BlockKey | undefined
        const index = key === undefined ? -1 : KEYS.indexOf(key)
        if (line.startsWith('LOGIN')) await connection.send('DONE\r\n')
        else if (key === mailbox) await connection.send(`${text.replaceAll('\n', '\r\n')}EndBlock\r\n`)
        else if (index < 0) await connection.send('NOT FOUND\r\n')
        else {
          asked.push(KEYS[index] ?? '')
          const payload = Buffer.from(PAYLOADS[index] ?? '')
          if (index === 1) payload[0] = (payload[0] ?? 0) ^ 1
          await connection.send(`Type: data\r\nData: ${payload.length}\r\n`)
          await connection.send(payload)
        }
      }
    })
  }
})

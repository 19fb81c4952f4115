import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  announcementOf,
  dataBlock,
  freePort,
  loggedIn,
  postTo,
  RELAY_USER,
  upload,
} from '../support/cm-relay-support.ts'
import { WireClient } from '../support/cm-server-support.ts'

const CHILD = fileURLToPath(new URL('./cm-replication-child.ts', import.meta.url))
/** Kills of one of the two servers, each in the middle of a write and of what goes on behind it. */
const KILLS = 4
const WRITES_BETWEEN_KILLS = 6

interface Side {
  readonly directory: string
  readonly port: number
  readonly peerPort: number
  child: ChildProcess
}

let sides: Side[] = []

beforeEach(async () => {
  const ports = [await freePort(), await freePort()] as const
  sides = []
  for (const [port, peerPort] of [ports, ports.toReversed()] as [number, number][]) {
    const directory = mkdtempSync(join(tmpdir(), 'cmb-replication-'))
    sides.push({ directory, port, peerPort, child: await spawnServer({ directory, port, peerPort }) })
  }
})

afterEach(() => {
  for (const { child, directory } of sides) {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
})

async function spawnServer({ directory, port, peerPort }: Omit<Side, 'child'>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [CHILD, directory, String(port), String(peerPort)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const chunk of child.stdout) {
    if (String(chunk).includes('ready')) return child
  }
  throw new Error('the server did not start')
}

async function kill(side: Side): Promise<void> {
  const ended = once(side.child, 'exit')
  side.child.kill('SIGKILL')
  await ended
}

/** A message at one server: its data block and the announcement. */
async function post(side: Side, number: number): Promise<void> {
  const nowMs = Date.now()
  const data = dataBlock(`message ${number}`.padEnd(number % 3 === 0 ? 100_000 : 20, '.'), nowMs)
  const client = await WireClient.connectSecure(side.port)
  for (const block of [data, announcementOf(data, nowMs)]) {
    expect(await upload(client, `STORE SERVER ${block.key}`, block)).toBe('DONE')
  }
  client.destroy()
}

/** A key that is given out, and every second one taken back. */
async function changeAccounts(side: Side, authKey: string, isRemoved: boolean): Promise<void> {
  const client = await loggedIn(side, 'ADMINKEY00000001')
  expect(await client.ask(`ADDLOGIN ${RELAY_USER} ${authKey}`)).toBe('DONE')
  if (isRemoved) expect(await client.ask(`RMLOGIN ${authKey}`)).toBe('DONE')
  client.destroy()
}

/** A block that one server is to pass on to the other; it has said DONE. */
async function passOn(side: Side, number: number): Promise<string> {
  const block = dataBlock(`passed on ${number}`, Date.now())
  const client = await loggedIn(side)
  const proxied = postTo(block, `server=127.0.0.1:${side.peerPort}`)
  expect(await upload(client, `STORE PROXY ${block.key}`, proxied)).toBe('DONE')
  client.destroy()
  return block.key.toUpperCase()
}

/** Begins to write and does not wait: the server dies over it. */
async function beginToWrite(side: Side, number: number): Promise<void> {
  const client = await WireClient.connectSecure(side.port)
  const data = dataBlock(`in flight ${number}`, Date.now())
  client.send(`STORE SERVER ${data.key}\r\n${data.text.replaceAll('\n', '\r\n')}`)
  client.send(data.payload ?? '')
}

/** Everything a server has stored, without what is only its own. */
function contentOf({ directory }: Side): {
  readonly records: readonly Readonly<Record<string, unknown>>[]
  readonly waiting: number
} {
  const database = new DatabaseSync(join(directory, 'blocks.db'), { readOnly: true })
  try {
    return {
      records: database
        .prepare(
          `SELECT hex(key) AS key, type, hex(identity) AS identity, date_ms, text, payload_bytes
           FROM records ORDER BY 1, 2, 3`,
        )
        .all(),
      waiting: Number(
        database
          .prepare('SELECT (SELECT count(*) FROM replicas) + (SELECT count(*) FROM relay_items) AS n')
          .get()?.n,
      ),
    }
  } finally {
    database.close()
  }
}

async function mayLogIn({ port }: Side, authKey: string): Promise<boolean> {
  const client = await WireClient.connectSecure(port)
  const reply = await client.ask(`LOGIN ${RELAY_USER} ${authKey}`)
  client.destroy()
  return reply === 'DONE'
}

describe('two servers that replicate', () => {
  it('end equal, however often one of them is killed', { timeout: 120_000 }, async () => {
    const authKeys: string[] = []
    const passedOn: string[] = []
    for (let number = 0; number < KILLS * WRITES_BETWEEN_KILLS; number += 1) {
      const side = sides[number % 2]!
      await post(side, number)
      const authKey = `ACCOUNTOFTEST${String(number).padStart(3, '0')}`
      await changeAccounts(side, authKey, number % 4 < 2)
      authKeys.push(authKey)
      if (number % WRITES_BETWEEN_KILLS !== WRITES_BETWEEN_KILLS - 1) continue
      const victim = sides[Math.floor(number / WRITES_BETWEEN_KILLS) % 2]!
      passedOn.push(await passOn(victim, number))
      await beginToWrite(victim, number)
      await kill(victim)
      victim.child = await spawnServer(victim)
    }
    await expect
      .poll(() => sides.map((side) => contentOf(side).waiting), { timeout: 60_000, interval: 100 })
      .toEqual([0, 0])
    const [one, two] = sides.map(contentOf)
    expect(one!.records.length).toBeGreaterThanOrEqual(2 * KILLS * WRITES_BETWEEN_KILLS)
    expect(two!.records).toEqual(one!.records)
    expect(one!.records.map(({ key }) => key)).toEqual(expect.arrayContaining(passedOn))
    for (const [number, authKey] of authKeys.entries()) {
      const isThere = number % 4 >= 2
      expect([await mayLogIn(sides[0]!, authKey), await mayLogIn(sides[1]!, authKey)]).toEqual([
        isThere,
        isThere,
      ])
    }
  })
})

import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { WireClient } from '../support/cm-server-support.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const LOGIN = `LOGIN ${'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344'} ACCOUNTKEY000003`
const MEBIBYTE = 1024 * 1024

/** A thousand connections: most do nothing useful, each in a way of its own. */
const CROWD = {
  silent: 200,
  halfCommand: 150,
  halfHandshake: 50,
  halfBlock: 250,
  halfPayload: 200,
  neverReads: 50,
}
const WORKERS = 100
const ACTIVE_WORKERS = 10
const BLOCKS_OF_EACH = 20
/** Connections opened side by side: the kernel's queue of the listener is short. */
const WAVE = 25
/** Octets the server may have in memory (issue: less than 400 MiB for 1,000 connections). */
const MAX_RSS_BYTES = 400 * MEBIBYTE
const TIMEOUT_MS = 180_000

let directory: string
let server: ChildProcess
let port: number
const clients: WireClient[] = []

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-crowd-'))
  writeFileSync(join(directory, 'accounts.txt'), `${LOGIN.slice('LOGIN '.length)}\n`)
  const flags = ['--data', join(directory, 'data'), '--auth', join(directory, 'accounts.txt')]
  const command = [MAIN, 'cm-server', ...flags, '--listen', '127.0.0.1:0', '--json']
  server = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] })
  port = await readyPort()
})

afterAll(() => {
  for (const client of clients) client.destroy()
  server.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

async function readyPort(): Promise<number> {
  for await (const chunk of server.stdout ?? []) {
    const found = /"port":(\d+)/.exec(String(chunk))?.[1]
    if (found !== undefined) return Number(found)
  }
  throw new Error('the CM server has ended')
}

/** Opens that many connections and leaves each as `leave` does; resolves when the server has seen all of it. */
async function open(
  count: number,
  leave: (client: WireClient) => Promise<void>,
  secure = true,
): Promise<void> {
  for (let opened = 0; opened < count; opened += WAVE) {
    const wave = Array.from({ length: Math.min(WAVE, count - opened) }, async () => {
      const client = secure ? await WireClient.connectSecure(port) : await WireClient.connect(port)
      clients.push(client)
      if (!secure) expect(await client.line()).toContain('READY')
      await leave(client)
    })
    await Promise.all(wave)
  }
}

function dataBlock(payload: Buffer): { readonly key: string; readonly bytes: Buffer } {
  const date = formatUtcTime(Date.now())
  const proof = solveProofOfWork({ bits: 8, matches: 2 }, Buffer.concat([Buffer.from(date), payload]))
  const key = createHash('sha1').update(payload).digest('hex')
  const header = `STORE SERVER ${key}\r\nType: data\r\nDate: ${date}\r\nVersion: 1\r\nProofOfWork: ${proof}\r\n`
  return { key, bytes: Buffer.concat([Buffer.from(`${header}Data: ${payload.length}\r\n`), payload]) }
}

/** Octets of the server in memory; undefined where the system does not tell. */
function residentBytes(): number | undefined {
  const path = `/proc/${server.pid}/status`
  if (!existsSync(path)) return undefined
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(path, 'utf8'))?.[1]) * 1024
}

function expectBoundedMemory(): void {
  const bytes = residentBytes()
  if (bytes === undefined) console.log('memory is not looked at: there is no /proc here')
  else expect(bytes).toBeLessThan(MAX_RSS_BYTES)
}

async function storesAndFetches(worker: WireClient, name: string): Promise<void> {
  for (let number = 0; number < BLOCKS_OF_EACH; number += 1) {
    const payload = `${name} ${number} `.repeat(100)
    const { key, bytes } = dataBlock(Buffer.from(payload))
    worker.send(bytes)
    expect(await worker.line()).toBe('DONE')
    expect((await worker.get(`GET SERVER ${key}`)).at(-1)).toBe(payload)
  }
}

describe('a thousand connections', () => {
  const workers: WireClient[] = []
  const large = dataBlock(Buffer.alloc(MEBIBYTE, 'large'))
  const half = dataBlock(Buffer.alloc(60_000, 'half'))

  it('are all served, whatever they leave undone', { timeout: TIMEOUT_MS }, async () => {
    await open(WORKERS, async (client) => {
      expect(await client.ask(LOGIN)).toBe('DONE')
      workers.push(client)
    })
    workers[0]?.send(large.bytes)
    expect(await workers[0]?.line()).toBe('DONE')
    await open(CROWD.silent, async () => undefined, false)
    await open(CROWD.halfCommand, async (client) => client.send('PIN'), false)
    const stopsInHandshake = async (client: WireClient) => {
      expect(await client.ask('STARTTLS')).toBe('PROCEED')
    }
    await open(CROWD.halfHandshake, stopsInHandshake, false)
    await open(CROWD.halfBlock, async (client) =>
      client.send(`STORE SERVER ${'0'.repeat(40)}\r\nType: message-announcement\r\nDa`),
    )
    await open(CROWD.halfPayload, async (client) => client.send(half.bytes.subarray(0, -1)))
    await open(CROWD.neverReads, async (client) => {
      expect(await client.ask(LOGIN)).toBe('DONE')
      client.pause()
      client.send(`GET SERVER ${large.key}\r\n`.repeat(20))
    })
    expect(clients).toHaveLength(1000)
    expectBoundedMemory()
  })

  it('do not keep the others from storing and fetching', { timeout: TIMEOUT_MS }, async () => {
    const active = workers.slice(0, ACTIVE_WORKERS)
    await Promise.all(active.map((worker, index) => storesAndFetches(worker, `worker ${index}`)))
    expectBoundedMemory()
  })

  it('store all at once', { timeout: TIMEOUT_MS }, async () => {
    await Promise.all(workers.map((worker, index) => storesAndFetches(worker, `each ${index}`)))
    expectBoundedMemory()
  })

  it('are all there may be: one more hears BUSY, until one has left', async () => {
    // Those that stopped in the middle may have been dropped by now: their places are taken first.
    const refused = await fillUp()
    expect(await refused.closed()).toBe('')
    clients.pop()?.destroy()
    await expect.poll(async () => (await greeted()).greeting).toContain('READY')
  })
})

async function greeted(): Promise<{ readonly client: WireClient; readonly greeting: string }> {
  const client = await WireClient.connect(port)
  const greeting = await client.line()
  if (greeting.includes('READY')) clients.push(client)
  return { client, greeting }
}

/** Takes every place that is left; gives the connection that found none. */
async function fillUp(): Promise<WireClient> {
  for (;;) {
    const { client, greeting } = await greeted()
    if (greeting.includes('BUSY')) return client
  }
}

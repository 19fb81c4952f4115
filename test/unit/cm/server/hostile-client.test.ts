import { createHash } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../../../src/base/clock.ts'
import { duration } from '../../../../src/base/clock.ts'
import { nonceText, solveProofOfWork } from '../../../../src/cm/proof-of-work.ts'
import type { CmServerContext } from '../../../../src/cm/server/context.ts'
import { SMALL_PAYLOAD_BYTES } from '../../../../src/cm/server/port.ts'
import { formatUtcTime } from '../../../../src/cm/utc-time.ts'
import {
  startTestCmServer,
  type TestCmServer,
  type TestCmServerOptions,
  WireClient,
} from '../../../support/cm-server-support.ts'
import { upload, wireDataBlock } from '../../../support/cm-wire-blocks.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
const USER = 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344'
const LOGIN = `LOGIN ${USER} ACCOUNTKEY000003`

let server: TestCmServer | undefined
const clients: WireClient[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await server?.close()
  server = undefined
})

async function start(options: TestCmServerOptions = {}): Promise<TestCmServer> {
  server = await startTestCmServer({ nowMs: NOW_MS, accounts: { ACCOUNTKEY000003: USER }, ...options })
  return server
}

async function connected(port: number): Promise<WireClient> {
  const client = await WireClient.connect(port)
  clients.push(client)
  await client.line()
  return client
}

async function loggedIn(port: number): Promise<WireClient> {
  const client = await WireClient.connectSecure(port)
  clients.push(client)
  expect(await client.ask(LOGIN)).toBe('DONE')
  return client
}

/** Timers that fire when the test says so, newest waits included. */
class TestTimers implements Clock {
  readonly #timers = new Map<symbol, { readonly dueMs: number; readonly callback: () => void }>()
  #nowMs = NOW_MS

  now(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const id = Symbol('timer')
    this.#timers.set(id, { dueMs: this.#nowMs + delayMs, callback })
    return () => this.#timers.delete(id)
  }

  advance(ms: number): void {
    this.#nowMs += ms
    for (const [id, { dueMs, callback }] of this.#timers) {
      if (dueMs > this.#nowMs) continue
      this.#timers.delete(id)
      callback()
    }
  }
}

/** A valid data block as it goes over the wire. */
function dataBlock(payload: Buffer): { readonly key: string; readonly bytes: Buffer } {
  const date = formatUtcTime(NOW_MS - duration.minute)
  const proof = solveProofOfWork({ bits: 8, matches: 2 }, Buffer.concat([Buffer.from(date), payload]))
  const key = createHash('sha1').update(payload).digest('hex')
  const header = `STORE SERVER ${key}\r\nType: data\r\nDate: ${date}\r\nVersion: 1\r\nProofOfWork: ${proof}\r\n`
  return { key, bytes: Buffer.concat([Buffer.from(`${header}Data: ${payload.length}\r\n`), payload]) }
}

describe('the length of things', () => {
  it('a line of 16384 octets is a line, one more ends the connection', async () => {
    const { port } = await start()
    const client = await connected(port)
    const longest = `PING ${'x'.repeat(16_384 - 5)}`
    expect(await client.ask(longest)).toBe(`PONG ${'x'.repeat(16_384 - 5)}`)
    client.send(`${longest}x`)
    expect(await client.closed()).toBe('')
  })

  it('a block of 8 MiB is stored, a larger one is read, dropped and costs no connection', async () => {
    const { port, store } = await start()
    const client = await loggedIn(port)
    const largest = dataBlock(Buffer.alloc(8 * 1024 * 1024, 'a'))
    client.send(largest.bytes)
    expect(await client.line()).toBe('DONE')
    const tooLarge = dataBlock(Buffer.alloc(8 * 1024 * 1024 + 1, 'b'))
    client.send(tooLarge.bytes)
    expect(await client.line()).toBe('DONE')
    expect(await client.ask(`GET SERVER ${tooLarge.key}`)).toBe('NOT FOUND')
    const answer = await client.get(`GET SERVER ${largest.key}`)
    expect(answer.at(-2)).toBe('Data: 8388608')
    expect(
      createHash('sha1')
        .update(answer.at(-1) ?? '', 'latin1')
        .digest('hex'),
    ).toBe(largest.key)
    expect(await store.find(largest.key as never)).toMatchObject({ payloadBytes: 8_388_608 })
  })

  it('a payload beyond all reason ends the connection at once', async () => {
    const { port } = await start()
    for (const length of ['67108865', '9'.repeat(300)]) {
      const client = await connected(port)
      client.send(`STORE SERVER ${'0'.repeat(40)}\r\nType: data\r\nData: ${length}\r\n`)
      expect(await client.closed()).toBe('')
    }
  })

  it('a text block without end costs bounded memory and ends the connection', async () => {
    const { port } = await start()
    const client = await connected(port)
    client.send(`STORE SERVER ${'0'.repeat(40)}\r\n`)
    const before = process.memoryUsage().rss
    const lines = Buffer.from(
      'X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'.repeat(12_000),
    )
    const closed = client.closed()
    for (let megabytes = 0; megabytes < 100; megabytes += 1) client.send(lines)
    expect(await closed).toBe('')
    // The test's own client holds what it sends; the server is in the same process.
    expect(process.memoryUsage().rss - before).toBeLessThan(250 * 1024 * 1024)
  })

  it('an announcement over 8 MiB is read to its end and dropped', async () => {
    const { port } = await start()
    const client = await connected(port)
    client.send(`STORE SERVER ${'0'.repeat(40)}\r\nType: message-announcement\r\n`)
    client.send(`DataBlock: ${'0'.repeat(40)}\r\n`.repeat(170_000))
    expect(await client.ask('EndBlock')).toBe('DONE')
    expect(await client.ask('PING')).toBe('PONG')
  })

  it.each(['STORE ENTANGLED', 'STORE PROXY', 'REPLICATE', 'STORE SERVER'])(
    "a long text behind a stranger's %s leaves no file",
    async (command) => {
      const { port, directory } = await start()
      const client = await connected(port)
      const rest = command === 'REPLICATE' ? ' none' : ''
      client.send(`${command} ${'0'.repeat(40)}${rest}\r\n`)
      client.send(`DataBlock: ${'0'.repeat(40)}\r\n`.repeat(5_000))
      expect(await client.ask('EndBlock')).toBe(command === 'STORE SERVER' ? 'DONE' : 'FAILED')
      expect(readdirSync(join(directory, 'payloads'))).toEqual([])
    },
  )
})

describe('time', () => {
  it('a silent connection is dropped after a minute', async () => {
    const clock = new TestTimers()
    const { port } = await start({ clock })
    const client = await connected(port)
    clock.advance(59 * duration.second)
    expect(await client.ask('PING')).toBe('PONG')
    clock.advance(61 * duration.second)
    expect(await client.closed()).toBe('')
  })

  it('octets that complete no line do not keep a connection', async () => {
    const clock = new TestTimers()
    const { port } = await start({ clock })
    const client = await connected(port)
    for (let second = 0; second < 60; second += 20) {
      client.send('x')
      clock.advance(20 * duration.second)
    }
    clock.advance(duration.second)
    expect(await client.closed()).toBe('')
  })

  it('an unfinished payload is dropped after a minute without an octet, and leaves no file', async () => {
    const clock = new TestTimers()
    const { port, directory } = await start({ clock })
    const client = await connected(port)
    const block = dataBlock(Buffer.alloc(SMALL_PAYLOAD_BYTES + 1, 'first block of ciphertext'))
    client.send(block.bytes.subarray(0, -5))
    const files = () => readdirSync(join(directory, 'payloads')).length
    await expect.poll(files).toBe(1)
    // More than once: octets that are still on their way begin the minute anew.
    await expect
      .poll(() => {
        clock.advance(61 * duration.second)
        return files()
      })
      .toBe(0)
    expect(await client.closed()).toBe('')
  })

  it('a payload that drips is dropped, although an octet comes within every minute', async () => {
    const clock = new TestTimers()
    const { port, directory } = await start({ clock })
    const client = await connected(port)
    const payload = Buffer.alloc(SMALL_PAYLOAD_BYTES + 1, 'drip')
    const block = dataBlock(payload)
    client.send(block.bytes.subarray(0, -payload.length))
    const arrived = () => {
      const [name] = readdirSync(join(directory, 'payloads'))
      return name === undefined ? -1 : statSync(join(directory, 'payloads', name)).size
    }
    for (const octets of [0, 1, 2]) {
      await expect.poll(arrived).toBe(octets)
      clock.advance(50 * duration.second)
      client.send('d')
    }
    expect(await client.closed()).toBe('')
  })

  it('a connection that stays idle after a refused LOGIN is dropped after ten seconds', async () => {
    const clock = new TestTimers()
    const { port } = await start({ clock })
    const client = await WireClient.connectSecure(port)
    clients.push(client)
    expect(await client.ask(`LOGIN ${USER} WRONGKEY0000001`)).toBe('FAILED')
    clock.advance(11 * duration.second)
    expect(await client.closed()).toBe('')
  })
})

describe('guessing and crowding', () => {
  it('ten refused LOGINs end the connection', async () => {
    const { port } = await start()
    const client = await WireClient.connectSecure(port)
    clients.push(client)
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      expect(await client.ask(`LOGIN ${USER} WRONGKEY${String(attempt).padStart(6, '0')}`)).toBe('FAILED')
    }
    expect(await client.closed()).toBe('')
  })

  it('too many connections are greeted with BUSY and not listened to; a place is free when one closes', async () => {
    const { port } = await start({ listen: { maxConnections: 1 } })
    const first = await connected(port)
    const second = await WireClient.connect(port)
    clients.push(second)
    second.send('PING early\r\n')
    expect(await second.closed()).toBe('CONFIDANT MAIL SERVER PROTOCOL 1 BUSY\r\n')
    expect(await first.ask('QUIT')).toBe('GOODBYE')
    await first.closed()
    first.destroy()
    await expect.poll(async () => (await WireClient.connect(port)).line()).toMatch(/READY$/)
  })
})

describe('storing', () => {
  it('is durable and readable by the time of DONE, and told once per change', async () => {
    const { port, stored } = await start()
    const client = await loggedIn(port)
    const block = dataBlock(Buffer.from('first block of ciphertext'))
    client.send(block.bytes)
    expect(await client.line()).toBe('DONE')
    expect((await client.get(`GET SERVER ${block.key}`)).at(-1)).toBe('first block of ciphertext')
    client.send(block.bytes)
    expect(await client.line()).toBe('DONE')
    expect(stored).toEqual([{ type: 'data', key: block.key, from: 'client', added: [] }])
  })

  it('several clients at once do not disturb each other', async () => {
    const { port } = await start()
    const blocks = Array.from({ length: 8 }, (_, index) => dataBlock(Buffer.alloc(100_000, String(index))))
    const posting = blocks.map(async ({ bytes }) => {
      const client = await connected(port)
      client.send(bytes)
      return client.line()
    })
    expect(await Promise.all(posting)).toEqual(blocks.map(() => 'DONE'))
    const reader = await loggedIn(port)
    for (const { key } of blocks) expect((await reader.get(`GET SERVER ${key}`)).at(-2)).toBe('Data: 100000')
  })

  it('blocks sent without waiting are answered in order, and seen by what comes behind them', async () => {
    const { port, stored } = await start()
    const client = await loggedIn(port)
    const blocks = Array.from({ length: 100 }, (_, index) => dataBlock(Buffer.from(`block ${index}`)))
    const forbidden = `STORE SERVER ${'0'.repeat(40)}\r\nLoginUser: x\r\nEndBlock\r\n`
    client.send(Buffer.concat(blocks.flatMap(({ bytes }) => [bytes, Buffer.from(forbidden)])))
    client.send(`GET SERVER ${blocks.at(-1)?.key}\r\nPING\r\n`)
    for (const _ of blocks) {
      expect(await client.line()).toBe('DONE')
      expect(await client.line()).toBe('FAILED')
    }
    expect(await client.upTo('PONG\r\n')).toContain('Data: 8\r\nblock 99')
    expect(stored).toHaveLength(100)
  })

  it('a full disk is answered FAILED, and the connection goes on', async () => {
    const fullDisk = (context: CmServerContext): CmServerContext => ({
      ...context,
      blocks: Object.assign(Object.create(context.blocks), {
        beginPayload: async () => ({
          path: '/nowhere',
          write: () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
          commit: () => Promise.reject(new Error('not reached')),
          discard: async () => undefined,
        }),
      }) as CmServerContext['blocks'],
    })
    const { port, errors } = await start({ context: fullDisk })
    const client = await connected(port)
    client.send(dataBlock(Buffer.from('x'.repeat(200_000))).bytes)
    expect(await client.line()).toBe('FAILED')
    expect(await client.ask('PING')).toBe('PONG')
    expect(errors).toMatchObject([{ code: 'ENOSPC' }])
  })

  it('a payload whose file is lost is not found, the owner is told, and the connection goes on', async () => {
    const { port, directory, errors } = await start()
    const client = await loggedIn(port)
    const { key, body } = wireDataBlock(Buffer.alloc(SMALL_PAYLOAD_BYTES + 1), NOW_MS)
    client.send(upload({ key, body }))
    expect(await client.line()).toBe('DONE')
    for (const name of readdirSync(join(directory, 'payloads'))) rmSync(join(directory, 'payloads', name))
    expect(await client.ask(`GET SERVER ${key}`)).toBe('NOT FOUND')
    expect(errors).toHaveLength(1)
    expect(await client.ask('PING')).toBe('PONG')
  })

  it('a proof with too many nonces, or none that fits, is dropped', async () => {
    const { port } = await start()
    const client = await loggedIn(port)
    const payload = Buffer.from('cheap')
    const key = createHash('sha1').update(payload).digest('hex')
    const many = Array.from({ length: 1500 }, (_, index) => nonceText(index)).join(',')
    for (const proof of [`bd,${many}`, 'bd,000000001,000000002', 'bd,zz,yy', '']) {
      client.send(
        `STORE SERVER ${key}\r\nType: data\r\nDate: ${formatUtcTime(NOW_MS)}\r\nProofOfWork: ${proof}\r\nData: 5\r\ncheap`,
      )
      expect(await client.line()).toBe('DONE')
    }
    expect(await client.ask(`GET SERVER ${key}`)).toBe('NOT FOUND')
  })

  it('somebody who hangs up in the middle leaves the server up', async () => {
    const { port, errors } = await start()
    const block = dataBlock(Buffer.alloc(1_000_000, 'z'))
    for (const cut of [10, 60, 200, 500_000]) {
      const client = await connected(port)
      client.send(block.bytes.subarray(0, cut))
      client.destroy()
    }
    const client = await connected(port)
    expect(await client.ask('PING')).toBe('PONG')
    expect(errors).toEqual([])
  })
})

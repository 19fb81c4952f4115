import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { duration } from '../../../../../src/base/clock.ts'
import { formatUtcTime } from '../../../../../src/cm/utc-time.ts'
import { type ScriptedServer, startScriptedServer } from '../../../../support/cm-client-support.ts'
import {
  announcementOf,
  dataBlock,
  freePort,
  heldBy,
  loggedIn,
  postTo,
  type RelayServer,
  type RelayServerOptions,
  startRelayServer,
  upload,
  type WireBlock,
} from '../../../../support/cm-relay-support.ts'
import { WireClient } from '../../../../support/cm-server-support.ts'

let open: { close(): Promise<void> }[] = []
let directories: string[] = []

afterEach(async () => {
  for (const one of open.toReversed()) await one.close()
  open = []
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
  directories = []
})

async function start(options: RelayServerOptions = {}): Promise<RelayServer> {
  const server = await startRelayServer(options)
  open.push(server)
  return server
}

async function script(...args: Parameters<typeof startScriptedServer>): Promise<ScriptedServer> {
  const server = await startScriptedServer(...args)
  open.push(server)
  return server
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'cmb-relay-'))
  directories.push(directory)
  return directory
}

const at = ({ port }: { readonly port: number }): string => `127.0.0.1:${port}`
const target = (...servers: readonly { readonly port: number }[]): string =>
  `server=${servers.map(at).join(',')}`

async function proxy(server: RelayServer, block: WireBlock, after?: number): Promise<string> {
  const client = await loggedIn(server)
  const suffix = after === undefined ? '' : ` AFTER ${formatUtcTime(after)}`
  const reply = await upload(client, `STORE PROXY ${block.key}${suffix}`, block)
  client.destroy()
  return reply
}

/** More than lies with its row. */
const large = (content: string): string => content.padEnd(100_000, '.')

/** A server that refuses some blocks; payloads sent to it end with CRLF, since it takes them for lines. */
async function refusing(
  isRefused: (key: string) => boolean,
): Promise<ScriptedServer & { readonly offered: readonly string[] }> {
  const offered: string[] = []
  const server = await script(async (connection) => {
    await connection.greet()
    for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
      if (line === 'QUIT') return
      if (line.startsWith('STORE ')) offered.push(line.slice(-40).toLowerCase())
      if (line.startsWith('Data: ')) {
        await connection.send(isRefused(offered.at(-1) ?? '') ? 'FAILED\r\n' : 'DONE\r\n')
      }
    }
  })
  return { ...server, offered }
}

const keysOf = (server: RelayServer): string[] => server.stored.map(({ key }) => key)

describe('STORE PROXY', () => {
  it('reaches each of its targets, and leaves nothing behind', async () => {
    const [one, two] = [await start(), await start()]
    const relay = await start({ allowed: [at(one), at(two)] })
    const blocks = ['for both', large('for both')].map((content) => dataBlock(content, relay.clock.now()))
    for (const block of blocks) {
      expect(await proxy(relay, postTo(block, target(one), target(two)))).toBe('DONE')
    }
    expect(readdirSync(join(relay.directory, 'relay'))).toHaveLength(1)
    await relay.pass()
    for (const server of [one, two]) {
      expect(keysOf(server)).toEqual(blocks.map(({ key }) => key))
      for (const block of blocks) {
        expect(await heldBy(server, block.key)).toBe(`${block.text}${block.payload?.toString('latin1')}`)
      }
    }
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 0, targets: 0, failingTargets: 0 })
    expect(readdirSync(join(relay.directory, 'relay'))).toEqual([])
    expect(relay.stored).toEqual([])
  })

  it('is sent when the connection that brought it has closed', async () => {
    const there = await start()
    const relay = await start({ allowed: [at(there)] })
    const block = dataBlock('soon', relay.clock.now())
    expect(await proxy(relay, postTo(block, target(there)))).toBe('DONE')
    await expect
      .poll(() => {
        relay.clock.advance(200)
        return keysOf(there)
      })
      .toEqual([block.key])
  })

  it('waits for the date behind AFTER, and keeps the time of day', async () => {
    const there = await start()
    const relay = await start({ allowed: [at(there)], nowMs: Math.floor(Date.now() / 1000) * 1000 })
    const block = dataBlock('tomorrow', relay.clock.now())
    const afterMs = relay.clock.now() + 20 * duration.minute
    expect(await proxy(relay, postTo(block, target(there)), afterMs)).toBe('DONE')
    await relay.pass()
    relay.clock.advance(20 * duration.minute - 1)
    await relay.pass()
    expect(keysOf(there)).toEqual([])
    relay.clock.advance(1)
    await relay.relay.settled()
    expect(keysOf(there)).toEqual([block.key])
  })

  it('sends data first, whatever came first', async () => {
    const said: string[] = []
    const there = await script(async (connection) => {
      await connection.greet()
      for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
        if (/^(STORE|QUIT)/.test(line)) said.push(line)
        if (line === 'EndBlock' || line.startsWith('Data: ')) await connection.send('DONE\r\n')
        if (line === 'QUIT') return
      }
    })
    const relay = await start({ allowed: [at(there)] })
    // The scripted server takes the payload for the beginning of the next line.
    const data = dataBlock('first\r\n', relay.clock.now())
    const announcement = announcementOf(data, relay.clock.now())
    expect(await proxy(relay, postTo(announcement, target(there)))).toBe('DONE')
    expect(await proxy(relay, postTo(data, target(there)))).toBe('DONE')
    await relay.pass()
    expect(said).toEqual([
      `STORE SERVER ${data.key.toUpperCase()}`,
      `STORE SERVER ${announcement.key.toUpperCase()}`,
      'QUIT',
    ])
  })

  it('goes to the next server of a target with the block the first one broke on', async () => {
    const broken = await script(async (connection) => {
      await connection.greet()
      await connection.line()
      connection.channel.destroy()
    })
    const there = await start()
    const relay = await start({ allowed: [at(broken), at(there)] })
    const block = dataBlock('not lost', relay.clock.now())
    const servers = target({ port: await freePort() }, broken, there)
    expect(await proxy(relay, postTo(block, servers))).toBe('DONE')
    await relay.pass()
    expect(keysOf(there)).toEqual([block.key])
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 0, failingTargets: 0 })
  })

  it('offers what one server of a target refuses to the next, and once to each', async () => {
    const picky = await refusing(() => true)
    const there = await start()
    const relay = await start({ allowed: [at(picky), at(there)] })
    const block = dataBlock('refused\r\n', relay.clock.now())
    expect(await proxy(relay, postTo(block, target(picky, there)))).toBe('DONE')
    await relay.pass()
    expect(picky.offered).toEqual([block.key])
    expect(keysOf(there)).toEqual([block.key])
  })

  it('lets a refused block hold up no other, and offers it again behind what is new', async () => {
    const nowMs = Date.now()
    const [bad, good, later] = ['bad', 'good', 'later'].map((text) => dataBlock(`${text}\r\n`, nowMs))
    const picky = await refusing((key) => key === bad!.key)
    const relay = await start({ allowed: [at(picky)], nowMs })
    for (const block of [bad, good]) expect(await proxy(relay, postTo(block!, target(picky)))).toBe('DONE')
    await relay.pass()
    expect(picky.offered).toEqual([bad!.key, good!.key])
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 1, failingTargets: 0 })
    expect(await proxy(relay, postTo(later!, target(picky)))).toBe('DONE')
    relay.clock.advance(2 * duration.minute)
    await relay.pass()
    expect(picky.offered.slice(2)).toEqual([later!.key, bad!.key])
  })

  it('gives a server up that refuses everything, and asks it again later', async () => {
    const picky = await refusing(() => true)
    const relay = await start({ allowed: [at(picky)] })
    const client = await loggedIn(relay)
    for (let number = 0; number < 30; number += 1) {
      const block = postTo(dataBlock(`${number}\r\n`, relay.clock.now()), target(picky))
      expect(await upload(client, `STORE PROXY ${block.key}`, block)).toBe('DONE')
    }
    client.destroy()
    await relay.pass()
    expect(picky.offered).toHaveLength(20)
    expect(relay.store.relay.targets.get(target(picky))).toMatchObject({ failures: 1 })
  })

  it('retries an unreachable target by the schedule, also over a restart', async () => {
    const gone = { port: await freePort() }
    const directory = temporaryDirectory()
    const first = await start({ directory, allowed: [at(gone)] })
    const block = dataBlock('patience', first.clock.now())
    expect(await proxy(first, postTo(block, target(gone)))).toBe('DONE')
    const waits: number[] = []
    let server = first
    for (let attempt = 0; attempt < 6; attempt += 1) {
      await server.pass()
      const nowMs = server.clock.now()
      const { nextMs, failures } = server.store.relay.targets.get(target(gone))
      waits.push((nextMs - nowMs) / 1000)
      expect(failures).toBe(attempt + 1)
      await server.close()
      open = open.filter((one) => one !== server)
      server = await start({ directory, allowed: [at(gone)], nowMs: nextMs })
    }
    expect(waits).toEqual([120, 300, 1800, 3600, 3600, 3600])
    expect(server.store.relay.counts()).toMatchObject({ proxied: 1 })
  })

  it('is durable at DONE: a server that starts again sends it', async () => {
    const there = await start()
    const directory = temporaryDirectory()
    const first = await start({ directory, allowed: [at(there)] })
    const data = dataBlock('kept', first.clock.now())
    expect(await proxy(first, postTo(data, target(there)))).toBe('DONE')
    expect(await proxy(first, postTo(announcementOf(data, first.clock.now()), target(there)))).toBe('DONE')
    await first.close()
    open = open.filter((one) => one !== first)
    const again = await start({ directory, allowed: [at(there)] })
    again.clock.advance(10 * duration.second)
    await again.relay.settled()
    expect(there.stored.map(({ type }) => type)).toEqual(['data', 'message-announcement'])
  })

  it('gives up seven days after the Date, and seven days after AFTER', async () => {
    const gone = { port: await freePort() }
    const relay = await start({ allowed: [at(gone)] })
    const startMs = relay.clock.now()
    const now = dataBlock(large('now'), startMs)
    const delayed = dataBlock(large('delayed'), startMs)
    expect(await proxy(relay, postTo(now, target(gone)))).toBe('DONE')
    expect(await proxy(relay, postTo(delayed, target(gone)), startMs + 3 * duration.day)).toBe('DONE')
    relay.clock.advance(7 * duration.day)
    await relay.pass()
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 1 })
    relay.clock.advance(3 * duration.day)
    await relay.pass()
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 0, failingTargets: 0 })
    expect(readdirSync(join(relay.directory, 'relay'))).toEqual([])
  })

  it('takes a block once that is sent twice, and adds what targets are new', async () => {
    const [one, two] = [await start(), await start()]
    const relay = await start({ allowed: [at(one), at(two)] })
    const block = dataBlock('again', relay.clock.now())
    expect(await proxy(relay, postTo(block, target(one)))).toBe('DONE')
    expect(await proxy(relay, postTo(block, target(one), target(two)))).toBe('DONE')
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 1, targets: 2 })
    await relay.pass()
    expect(keysOf(one)).toEqual([block.key])
    expect(keysOf(two)).toEqual([block.key])
  })

  it('refuses strangers, unless the owner wants an open relay (S6)', async () => {
    for (const [isOpenRelay, reply] of [
      [false, 'FAILED'],
      [true, 'DONE'],
    ] as const) {
      const relay = await start({ isOpenRelay })
      const stranger = await WireClient.connectSecure(relay.port)
      const block = postTo(dataBlock('free ride', relay.clock.now()), 'server=a.example:1')
      expect(await upload(stranger, `STORE PROXY ${block.key}`, block)).toBe(reply)
      stranger.destroy()
    }
  })

  it('contacts no private address that a Post-To names, by number or by name (S6)', async () => {
    const internal = await script(async () => {
      throw new Error('the relay connected to an internal service')
    })
    const relay = await start({ hosts: ['internal.example'] })
    for (const host of ['127.0.0.1', 'internal.example', '[::1]', '[::ffff:127.0.0.1]']) {
      const block = dataBlock(host, relay.clock.now())
      expect(await proxy(relay, postTo(block, `server=${host}:${internal.port}`))).toBe('DONE')
    }
    await relay.pass()
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 4, failingTargets: 4 })
    expect(relay.log.lines.filter(({ fields }) => /forbidden-address/.test(String(fields.why)))).toHaveLength(
      4,
    )
  })

  it('has room for so much, and for so much of one user', async () => {
    const room = { bytes: 1_000_000, deliveries: 3, bytesPerUser: 5_000, deliveriesPerUser: 2 }
    const relay = await start({ room })
    const send = async (content: string): Promise<string> =>
      proxy(relay, postTo(dataBlock(content, relay.clock.now()), 'server=a.example:1'))
    expect(await send('x'.repeat(5_000))).toBe('FAILED')
    expect([await send('one'), await send('two'), await send('three')]).toEqual(['DONE', 'DONE', 'FAILED'])
    const other = await loggedIn(relay, 'ACCOUNTKEY000004')
    const block = postTo(dataBlock('of another', relay.clock.now()), 'server=a.example:1')
    expect(await upload(other, `STORE PROXY ${block.key}`, block)).toBe('DONE')
    other.destroy()
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 3 })
    expect(readdirSync(join(relay.directory, 'payloads'))).toEqual([])
  })
})

describe('hostile items of STORE PROXY (S3)', () => {
  const HOSTILE: readonly (readonly [string, (nowMs: number) => WireBlock])[] = [
    ['without Date', (nowMs) => edited(dataBlock('a', nowMs), /^Date: .*\n/m, '')],
    [
      'with an impossible Date',
      (nowMs) => edited(dataBlock('b', nowMs), /^Date: .*$/m, 'Date: 2026-13-45T25:61:61Z'),
    ],
    ['without proof of work', (nowMs) => edited(dataBlock('c', nowMs), /^ProofOfWork: .*\n/m, '')],
    [
      'with another proof',
      (nowMs) => edited(dataBlock('d', nowMs), /^ProofOfWork: .*$/m, 'ProofOfWork: bd,1,2'),
    ],
    ['dated years ahead', (nowMs) => dataBlock('e', nowMs + 400 * duration.day)],
    ['that is a week old', (nowMs) => dataBlock('f', nowMs - 7 * duration.day)],
    ['under another key', (nowMs) => ({ ...dataBlock('g', nowMs), key: dataBlock('h', nowMs).key })],
    ['of no type', (nowMs) => edited(dataBlock('i', nowMs), /^Type: data\n/m, '')],
  ]

  it.each(HOSTILE)('refuses a block %s', async (_, make) => {
    const relay = await start()
    expect(await proxy(relay, postTo(make(relay.clock.now()), 'server=a.example:1'))).toBe('FAILED')
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 0 })
    expect(readdirSync(join(relay.directory, 'payloads'))).toEqual([])
    expect(readdirSync(join(relay.directory, 'relay'))).toEqual([])
  })

  it('refuses an AFTER that comes when no server takes the block any more', async () => {
    const relay = await start()
    const block = postTo(dataBlock('too late', relay.clock.now()), 'server=a.example:1')
    expect(await proxy(relay, block, relay.clock.now() + 11 * duration.day)).toBe('FAILED')
    expect(await proxy(relay, block, relay.clock.now() - 8 * duration.day)).toBe('FAILED')
  })

  it('refuses a target that only a proxy we do not have could reach', async () => {
    const relay = await start()
    const block = dataBlock('hidden', relay.clock.now())
    expect(await proxy(relay, postTo(block, 'server=hidden.onion:1,hidden.i2p:1'))).toBe('FAILED')
    expect(await proxy(relay, postTo(block, 'server=hidden.onion:1,a.example:1'))).toBe('DONE')
  })

  it('keeps only lines a server stores, so that nothing else is passed on', async () => {
    const there = await start()
    const relay = await start({ allowed: [at(there)] })
    const block = dataBlock('clean', relay.clock.now())
    const noisy = { ...block, text: `X-Unknown: NOT FOUND\n${block.text}` }
    expect(await proxy(relay, postTo(noisy, target(there)))).toBe('DONE')
    await relay.pass()
    expect(await heldBy(there, block.key)).toBe(`${block.text}clean`)
  })

  it('goes on past an item that cannot be sent, and tells of it', async () => {
    const there = await start()
    const relay = await start({ allowed: [at(there)] })
    const lost = dataBlock(large('lost'), relay.clock.now())
    const good = dataBlock('good', relay.clock.now())
    expect(await proxy(relay, postTo(lost, target(there)))).toBe('DONE')
    for (const name of readdirSync(join(relay.directory, 'relay'))) {
      rmSync(join(relay.directory, 'relay', name))
    }
    expect(await proxy(relay, postTo(good, target(there)))).toBe('DONE')
    await relay.pass()
    expect(relay.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1)
    relay.clock.advance(2 * duration.minute)
    await relay.pass()
    expect(keysOf(there)).toEqual([good.key])
    expect(relay.relay.senderState()).toEqual({ kind: 'running' })
  })

  it('says in SELFTEST when the sender has not looked for eight intervals', async () => {
    const relay = await start()
    await relay.pass()
    await relay.close()
    relay.clock.advance(17 * duration.minute)
    expect(relay.relay.senderState()).toEqual({ kind: 'stalled', seconds: 17 * 60 })
    open = open.filter((one) => one !== relay)
  })
})

function edited(block: WireBlock, pattern: RegExp, replacement: string): WireBlock {
  return { ...block, text: block.text.replace(pattern, replacement) }
}

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { duration } from '../../../../../src/base/clock.ts'
import { type ScriptedServer, startScriptedServer } from '../../../../support/cm-client-support.ts'
import {
  announcementOf,
  dataBlock,
  freePort,
  heldBy,
  keysOf,
  large,
  loggedIn,
  placeOf,
  postTo,
  proxy,
  targetOf,
  upload,
} from '../../../../support/cm-relay-support.ts'
import { WireClient } from '../../../../support/cm-server-support.ts'
import {
  closedAfterwards,
  endRelaysAfterEach,
  start,
  stop,
  temporaryDirectory,
} from '../../../../support/relays-per-test.ts'

endRelaysAfterEach()

async function script(...args: Parameters<typeof startScriptedServer>): Promise<ScriptedServer> {
  return closedAfterwards(await startScriptedServer(...args))
}

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

describe('STORE PROXY', () => {
  it('reaches each of its targets, and leaves nothing behind', async () => {
    const [one, two] = [await start(), await start()]
    const relay = await start({ allowed: [placeOf(one), placeOf(two)] })
    const blocks = ['for both', large('for both')].map((content) => dataBlock(content, relay.clock.now()))
    for (const block of blocks) {
      expect(await proxy(relay, postTo(block, targetOf(one), targetOf(two)))).toBe('DONE')
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
    const relay = await start({ allowed: [placeOf(there)] })
    const block = dataBlock('soon', relay.clock.now())
    expect(await proxy(relay, postTo(block, targetOf(there)))).toBe('DONE')
    await expect
      .poll(() => {
        relay.clock.advance(200)
        return keysOf(there)
      })
      .toEqual([block.key])
  })

  it('waits for the date behind AFTER, and keeps the time of day', async () => {
    const there = await start()
    const relay = await start({ allowed: [placeOf(there)], nowMs: Math.floor(Date.now() / 1000) * 1000 })
    const block = dataBlock('tomorrow', relay.clock.now())
    const afterMs = relay.clock.now() + 20 * duration.minute
    expect(await proxy(relay, postTo(block, targetOf(there)), afterMs)).toBe('DONE')
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
    const relay = await start({ allowed: [placeOf(there)] })
    // The scripted server takes the payload for the beginning of the next line.
    const data = dataBlock('first\r\n', relay.clock.now())
    const announcement = announcementOf(data, relay.clock.now())
    expect(await proxy(relay, postTo(announcement, targetOf(there)))).toBe('DONE')
    expect(await proxy(relay, postTo(data, targetOf(there)))).toBe('DONE')
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
    const relay = await start({ allowed: [placeOf(broken), placeOf(there)] })
    const block = dataBlock('not lost', relay.clock.now())
    const servers = targetOf({ port: await freePort() }, broken, there)
    expect(await proxy(relay, postTo(block, servers))).toBe('DONE')
    await relay.pass()
    expect(keysOf(there)).toEqual([block.key])
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 0, failingTargets: 0 })
  })

  it('offers what one server of a target refuses to the next, and once to each', async () => {
    const picky = await refusing(() => true)
    const there = await start()
    const relay = await start({ allowed: [placeOf(picky), placeOf(there)] })
    const block = dataBlock('refused\r\n', relay.clock.now())
    expect(await proxy(relay, postTo(block, targetOf(picky, there)))).toBe('DONE')
    await relay.pass()
    expect(picky.offered).toEqual([block.key])
    expect(keysOf(there)).toEqual([block.key])
  })

  it('lets a refused block hold up no other, and offers it again behind what is new', async () => {
    const nowMs = Date.now()
    const [bad, good, later] = ['bad', 'good', 'later'].map((text) => dataBlock(`${text}\r\n`, nowMs))
    const picky = await refusing((key) => key === bad!.key)
    const relay = await start({ allowed: [placeOf(picky)], nowMs })
    for (const block of [bad, good]) expect(await proxy(relay, postTo(block!, targetOf(picky)))).toBe('DONE')
    await relay.pass()
    expect(picky.offered).toEqual([bad!.key, good!.key])
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 1, failingTargets: 0 })
    expect(await proxy(relay, postTo(later!, targetOf(picky)))).toBe('DONE')
    relay.clock.advance(2 * duration.minute)
    await relay.pass()
    expect(picky.offered.slice(2)).toEqual([later!.key, bad!.key])
  })

  it('gives a server up that refuses everything, and asks it again later', async () => {
    const picky = await refusing(() => true)
    const relay = await start({ allowed: [placeOf(picky)] })
    const client = await loggedIn(relay)
    for (let number = 0; number < 30; number += 1) {
      const block = postTo(dataBlock(`${number}\r\n`, relay.clock.now()), targetOf(picky))
      expect(await upload(client, `STORE PROXY ${block.key}`, block)).toBe('DONE')
    }
    client.destroy()
    await relay.pass()
    expect(picky.offered).toHaveLength(20)
    expect(relay.store.relay.targets.get(targetOf(picky))).toMatchObject({ failures: 1 })
  })

  it('retries an unreachable target by the schedule, also over a restart', async () => {
    const gone = { port: await freePort() }
    const directory = temporaryDirectory()
    const first = await start({ directory, allowed: [placeOf(gone)] })
    const block = dataBlock('patience', first.clock.now())
    expect(await proxy(first, postTo(block, targetOf(gone)))).toBe('DONE')
    const waits: number[] = []
    let server = first
    for (let attempt = 0; attempt < 6; attempt += 1) {
      await server.pass()
      const nowMs = server.clock.now()
      const { nextMs, failures } = server.store.relay.targets.get(targetOf(gone))
      waits.push((nextMs - nowMs) / 1000)
      expect(failures).toBe(attempt + 1)
      await stop(server)
      server = await start({ directory, allowed: [placeOf(gone)], nowMs: nextMs })
    }
    expect(waits).toEqual([120, 300, 1800, 3600, 3600, 3600])
    expect(server.store.relay.counts()).toMatchObject({ proxied: 1 })
  })

  it('is durable at DONE: a server that starts again sends it', async () => {
    const there = await start()
    const directory = temporaryDirectory()
    const first = await start({ directory, allowed: [placeOf(there)] })
    const data = dataBlock('kept', first.clock.now())
    expect(await proxy(first, postTo(data, targetOf(there)))).toBe('DONE')
    expect(await proxy(first, postTo(announcementOf(data, first.clock.now()), targetOf(there)))).toBe('DONE')
    await stop(first)
    const again = await start({ directory, allowed: [placeOf(there)] })
    again.clock.advance(10 * duration.second)
    await again.relay.settled()
    expect(there.stored.map(({ type }) => type)).toEqual(['data', 'message-announcement'])
  })

  it('gives up seven days after the Date, and seven days after AFTER', async () => {
    const gone = { port: await freePort() }
    const relay = await start({ allowed: [placeOf(gone)] })
    const startMs = relay.clock.now()
    const now = dataBlock(large('now'), startMs)
    const delayed = dataBlock(large('delayed'), startMs)
    expect(await proxy(relay, postTo(now, targetOf(gone)))).toBe('DONE')
    expect(await proxy(relay, postTo(delayed, targetOf(gone)), startMs + 3 * duration.day)).toBe('DONE')
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
    const relay = await start({ allowed: [placeOf(one), placeOf(two)] })
    const block = dataBlock('again', relay.clock.now())
    expect(await proxy(relay, postTo(block, targetOf(one)))).toBe('DONE')
    expect(await proxy(relay, postTo(block, targetOf(one), targetOf(two)))).toBe('DONE')
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
    const send = (host: string): Promise<string> =>
      proxy(relay, postTo(dataBlock(host, relay.clock.now()), `server=${host}:${internal.port}`))
    // Told at once; of a name nobody knows before it is resolved.
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]']) {
      expect(await send(host)).toBe('FAILED')
    }
    expect(await send('internal.example')).toBe('DONE')
    await relay.pass()
    expect(relay.store.relay.counts()).toMatchObject({ proxied: 1, failingTargets: 1 })
    expect(
      relay.log.lines.filter(({ fields }) => /cm\.privateServers/.test(String(fields.why))),
    ).toHaveLength(1)
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

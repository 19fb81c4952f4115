import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { duration } from '../../../../../src/base/clock.ts'
import { addressHash } from '../../../../../src/cm/ids.ts'
import { createCmServerCertificate } from '../../../../../src/net/certificates.ts'
import { createServerTls } from '../../../../../src/net/server-tls.ts'
import {
  type ScriptConnection,
  type ScriptedServer,
  startScriptedServer,
  testServerTls,
} from '../../../../support/cm-client-support.ts'
import {
  announcementOf,
  dataBlock,
  freePort,
  heldBy,
  loggedIn,
  peerAt,
  RELAY_USER,
  type RelayServer,
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

/** Two of our servers, each the peer of the other. */
async function startPair(): Promise<readonly [RelayServer, RelayServer]> {
  const [onePort, twoPort] = [await freePort(), await freePort()]
  return [
    await start({ port: onePort, peer: peerAt(twoPort) }),
    await start({ port: twoPort, peer: peerAt(onePort) }),
  ]
}

/** A peer that writes down what it is told and answers as `answer` says; payloads end with CRLF. */
async function scriptedPeer(
  answer: (command: string) => string | undefined = () => 'DONE',
  greet: (connection: ScriptConnection) => Promise<void> = (connection) => connection.greet(),
): Promise<ScriptedServer & { readonly said: string[] }> {
  const said: string[] = []
  const server = await startScriptedServer(async (connection) => {
    await greet(connection)
    for (let command = ''; ; ) {
      const line = await connection.line()
      if (line === undefined) return
      if (/^(LOGIN|REPLICATE|REPLOGIN|STORE|QUIT)/.test(line)) {
        command = line
        said.push(line)
      }
      if (line === 'QUIT') return
      if (!/^(LOGIN|REPLOGIN|Data:|EndBlock)/.test(line)) continue
      const reply = answer(command)
      if (reply === undefined) return connection.channel.destroy()
      await connection.send(`${reply}\r\n`)
    }
  })
  closedAfterwards(server)
  return { ...server, said }
}

async function administer(server: RelayServer, ...commands: readonly string[]): Promise<string[]> {
  const client = await loggedIn(server, 'ADMINKEY00000001')
  const replies: string[] = []
  for (const command of commands) replies.push(await client.ask(command))
  client.destroy()
  return replies
}

async function mayLogIn({ port }: RelayServer, userId: string, authKey: string): Promise<boolean> {
  const client = await WireClient.connectSecure(port)
  const reply = await client.ask(`LOGIN ${userId} ${authKey}`)
  client.destroy()
  return reply === 'DONE'
}

async function store(server: RelayServer, ...contents: readonly string[]): Promise<string[]> {
  const client = await WireClient.connectSecure(server.port)
  const keys: string[] = []
  for (const content of contents) {
    const block = dataBlock(content, server.clock.now())
    expect(await upload(client, `STORE SERVER ${block.key}`, block)).toBe('DONE')
    keys.push(block.key)
  }
  client.destroy()
  return keys
}

const NEW_USER = 'D1B2C3D4E5F60718293A4B5C6D7E8F9011223344'

describe('replication between two of our servers', () => {
  it('hands on what clients store, both ways, and not again', async () => {
    const [one, two] = await startPair()
    const nowMs = one.clock.now()
    const data = dataBlock('of one', nowMs)
    const large = dataBlock(Buffer.alloc(300_000, 'large'), nowMs)
    const announcement = announcementOf(data, nowMs)
    const other = dataBlock('of two', nowMs)
    const client = await loggedIn(one)
    for (const block of [data, large, announcement]) {
      expect(await upload(client, `STORE SERVER ${block.key}`, block)).toBe('DONE')
    }
    client.destroy()
    await store(two, 'of two')
    for (let round = 0; round < 2; round += 1) for (const server of [one, two]) await server.pass()
    for (const block of [data, large, announcement, other]) {
      expect(await heldBy(two, block.key)).toBe(await heldBy(one, block.key))
      expect(await heldBy(two, block.key)).toBeDefined()
    }
    for (const server of [one, two]) {
      expect(server.store.relay.counts()).toMatchObject({ replicas: 0, setAside: 0, failingTargets: 0 })
    }
    expect(two.stored.filter(({ from }) => from === 'replica')).toHaveLength(3)
    expect(one.stored.filter(({ from }) => from === 'replica')).toHaveLength(1)
  })

  it('does not hand on what is not stored', async () => {
    const one = await start({ peer: peerAt(await freePort()) })
    const client = await WireClient.connectSecure(one.port)
    const old = dataBlock('old', one.clock.now() - 20 * duration.day)
    expect(await upload(client, `STORE SERVER ${old.key}`, old)).toBe('DONE')
    client.destroy()
    expect(one.store.relay.counts()).toMatchObject({ replicas: 0 })
  })

  it('makes the accounts of the peer the same: added, made, bound and removed', async () => {
    const [one, two] = await startPair()
    const replies = await administer(
      one,
      `ADDLOGIN ${NEW_USER} NEWREPL0001`,
      'ADDLOGIN NEWREPL0002',
      `ADDLOGIN ${NEW_USER} NEWREPL0003`,
      'RMLOGIN NEWREPL0003',
      'GENLOGIN 1',
    )
    expect(await mayLogIn(one, NEW_USER, 'NEWREPL0002')).toBe(true)
    await one.pass()
    for (const server of [two, one]) {
      expect(await mayLogIn(server, NEW_USER, 'NEWREPL0001')).toBe(true)
      expect(await mayLogIn(server, RELAY_USER, 'NEWREPL0002')).toBe(false)
      expect(await mayLogIn(server, NEW_USER, 'NEWREPL0002')).toBe(true)
      expect(await mayLogIn(server, NEW_USER, 'NEWREPL0003')).toBe(false)
      expect(await mayLogIn(server, NEW_USER, replies[4] ?? '')).toBe(true)
    }
    expect(two.store.relay.counts()).toMatchObject({ replicas: 1 })
  })

  it('keeps accounts for a peer that is away for months', async () => {
    const port = await freePort()
    const one = await start({ peer: peerAt(port) })
    await administer(one, `ADDLOGIN ${NEW_USER} NEWREPL0001`)
    for (let days = 0; days < 90; days += 30) {
      await one.pass()
      one.clock.advance(30 * duration.day)
    }
    await one.relay.settled()
    const two = await start({ port })
    one.clock.advance(duration.hour)
    await one.relay.settled()
    expect(await mayLogIn(two, NEW_USER, 'NEWREPL0001')).toBe(true)
  })
})

describe('what the peer is told', () => {
  it('is in the order of arrival, with keys in upper case and the poster', async () => {
    const peer = await scriptedPeer()
    const one = await start({ peer: peerAt(peer.port) })
    const data = dataBlock('by a user\r\n', one.clock.now())
    const announcement = announcementOf(data, one.clock.now())
    const client = await loggedIn(one)
    for (const block of [announcement, data]) await upload(client, `STORE SERVER ${block.key}`, block)
    client.destroy()
    const [anonymous] = await store(one, 'by nobody\r\n')
    await administer(one, `ADDLOGIN ${NEW_USER} NEWREPL0001`, 'RMLOGIN NEWREPL0001')
    await one.pass()
    expect(peer.said).toEqual([
      'LOGIN replication REPLICATIONKEY01',
      `REPLICATE ${announcement.key.toUpperCase()} ${RELAY_USER}`,
      `REPLICATE ${data.key.toUpperCase()} ${RELAY_USER}`,
      `REPLICATE ${anonymous?.toUpperCase()} none`,
      `REPLOGIN ${NEW_USER} NEWREPL0001`,
      'REPLOGIN disabled NEWREPL0001',
      'QUIT',
    ])
  })

  it('stays in order for a key that is refused, and goes on for the others', async () => {
    let isRefusing = true
    const peer = await scriptedPeer((command) =>
      isRefusing && command === `REPLOGIN ${NEW_USER} NEWREPL0001` ? 'FAILED' : 'DONE',
    )
    const one = await start({ peer: peerAt(peer.port) })
    await administer(
      one,
      `ADDLOGIN ${NEW_USER} NEWREPL0001`,
      'RMLOGIN NEWREPL0001',
      `ADDLOGIN ${NEW_USER} NEWREPL0002`,
    )
    for (let look = 0; look < 5; look += 1) await one.pass()
    // What waits behind a refused entry is no reason to connect again and again.
    expect(peer.said.filter((line) => line.startsWith('LOGIN')).length).toBeLessThanOrEqual(2)
    isRefusing = false
    one.clock.advance(2 * duration.minute)
    await one.relay.settled()
    expect(peer.said.filter((line) => line.startsWith('REPLOGIN'))).toEqual([
      `REPLOGIN ${NEW_USER} NEWREPL0001`,
      `REPLOGIN ${NEW_USER} NEWREPL0002`,
      `REPLOGIN ${NEW_USER} NEWREPL0001`,
      'REPLOGIN disabled NEWREPL0001',
    ])
    expect(one.store.relay.counts()).toMatchObject({ replicas: 0, failingTargets: 0 })
  })

  it('is said again from the entry on at which the connection broke', async () => {
    let isBreaking = true
    const peer = await scriptedPeer((command) =>
      isBreaking && command.startsWith('REPLOGIN disabled') ? undefined : 'DONE',
    )
    const one = await start({ peer: peerAt(peer.port) })
    await administer(one, `ADDLOGIN ${NEW_USER} NEWREPL0001`, 'RMLOGIN NEWREPL0001', 'ADDLOGIN NEWREPL0002')
    await one.pass()
    isBreaking = false
    one.clock.advance(2 * duration.minute)
    await one.relay.settled()
    expect(peer.said.filter((line) => line.startsWith('REPLOGIN'))).toEqual([
      `REPLOGIN ${NEW_USER} NEWREPL0001`,
      'REPLOGIN disabled NEWREPL0001',
      'REPLOGIN disabled NEWREPL0001',
      'REPLOGIN undefined NEWREPL0002',
    ])
  })

  it('gets past an entry that breaks the connection again and again', async () => {
    const peer = await scriptedPeer((command) =>
      command.startsWith('REPLOGIN disabled') ? undefined : 'DONE',
    )
    const one = await start({ peer: peerAt(peer.port) })
    await administer(one, 'RMLOGIN NEWREPL0001', 'ADDLOGIN NEWREPL0002')
    for (let pass = 0; pass < 4; pass += 1) {
      await one.pass()
      one.clock.advance(5 * duration.minute)
      await one.relay.settled()
    }
    expect(peer.said).toContain('REPLOGIN undefined NEWREPL0002')
    expect(one.store.relay.counts()).toMatchObject({ replicas: 1 })
  })
})

describe('who the peer is', () => {
  const certificate = async (): Promise<X509Certificate> =>
    new X509Certificate((await testServerTls()).certificatePem)
  const plain = (fingerprint: string): string => fingerprint.replaceAll(':', '').toLowerCase()

  it('is proved by the pinned certificate, by SHA-1 or SHA-256', async () => {
    const shown = await certificate()
    for (const digest of [plain(shown.fingerprint), plain(shown.fingerprint256)]) {
      const peer = await scriptedPeer()
      const one = await start({ peer: peerAt(peer.port, digest) })
      await administer(one, 'ADDLOGIN NEWREPL0001')
      await one.pass()
      expect(peer.said).toContain('REPLOGIN undefined NEWREPL0001')
    }
  })

  it('is told nothing but QUIT with another certificate than the pinned one', async () => {
    const peer = await scriptedPeer()
    const one = await start({ peer: peerAt(peer.port, '0'.repeat(40)) })
    await administer(one, 'ADDLOGIN NEWREPL0001')
    await one.pass()
    expect(peer.said).toEqual(['QUIT'])
    expect(one.log.lines.some(({ message }) => message.includes('another certificate'))).toBe(true)
    expect(one.store.relay.counts()).toMatchObject({ replicas: 1 })
  })

  it('is remembered without a pin: a changed certificate never sees the key', async () => {
    const other = createServerTls(await createCmServerCertificate({ names: ['other'], nowMs: Date.now() }))
    let isChanged = false
    const peer = await scriptedPeer(
      () => 'DONE',
      (connection) => (isChanged ? connection.greet(other) : connection.greet()),
    )
    const one = await start({ peer: peerAt(peer.port) })
    await administer(one, 'ADDLOGIN NEWREPL0001')
    await one.pass()
    isChanged = true
    peer.said.length = 0
    await administer(one, 'ADDLOGIN NEWREPL0002')
    await one.pass()
    expect(peer.said).toEqual(['QUIT'])
  })

  it('does not learn more from a refused login, which is told to the owner', async () => {
    const peer = await scriptedPeer(() => 'FAILED')
    const one = await start({ peer: peerAt(peer.port) })
    await administer(one, 'ADDLOGIN NEWREPL0001')
    await one.pass()
    expect(peer.said).toEqual(['LOGIN replication REPLICATIONKEY01', 'QUIT'])
    expect(one.log.lines.some(({ message }) => message.includes('refuses our login'))).toBe(true)
  })

  it('shows its certificate to nobody through GET (S14)', async () => {
    const peer = await scriptedPeer()
    const one = await start({ peer: peerAt(peer.port) })
    await administer(one, 'ADDLOGIN NEWREPL0001')
    await one.pass()
    expect(await one.store.relay.certificates.recall(`127.0.0.1:${peer.port}`)).toBeDefined()
    const client = await loggedIn(one)
    expect(await client.get(`GET SERVER ${addressHash(`127.0.0.1:${peer.port}`)}`)).toEqual(['NOT FOUND'])
    client.destroy()
  })
})

describe('auth keys that wait for the peer', () => {
  it('lie in a private file, and not in it any more when they were told', async () => {
    const directory = temporaryDirectory()
    const peer = await scriptedPeer()
    const one = await start({ directory, peer: peerAt(peer.port) })
    await administer(one, 'ADDLOGIN SECRETKEY0001')
    expect(statSync(join(directory, 'blocks.db')).mode & 0o077).toBe(0)
    expect(statSync(join(directory, 'blocks.db-wal')).mode & 0o077).toBe(0)
    await one.pass()
    await stop(one)
    expect(readFileSync(join(directory, 'blocks.db')).includes('SECRETKEY0001')).toBe(false)
  })

  it('are in no line of the log', async () => {
    const one = await start({ peer: peerAt(await freePort()) })
    await administer(one, 'ADDLOGIN SECRETKEY0001')
    await one.pass()
    expect(JSON.stringify(one.log.lines)).not.toContain('SECRETKEY0001')
  })
})

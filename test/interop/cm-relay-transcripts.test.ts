import { afterEach, describe, expect, it } from 'vitest'
import { CmFramer } from '../../src/cm/framer.ts'
import { parseBlockKey } from '../../src/cm/ids.ts'
import { startScriptedServer } from '../support/cm-client-support.ts'
import {
  freePort,
  heldBy,
  peerAt,
  RELAY_ACCOUNTS,
  type RelayServer,
  type RelayServerOptions,
  startRelayServer,
} from '../support/cm-relay-support.ts'
import { WireClient } from '../support/cm-server-support.ts'
import { type Exchange, readTranscript } from '../support/cm-transcript.ts'
import { hasVector } from '../support/vectors.ts'

/** What our server sends to others, octet for octet as the recorded reference server did (CM wire 9.3, 9.4). */

const HAS_RECORDINGS = hasVector('transcripts/replication/replication-001.txt')

const ACCOUNTS = {
  ...RELAY_ACCOUNTS,
  ACCOUNTKEY000001: 'C38830C357EF0AEA6992FB756A7E1664812EBED4',
}

let open: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of open.toReversed()) await one.close()
  open = []
})

async function start(options: RelayServerOptions): Promise<RelayServer> {
  const server = await startRelayServer({ accounts: ACCOUNTS, ...options })
  open.push(server)
  return server
}

/** A server that answers DONE to everything and keeps the octets of each command with its block. */
async function recordingServer(): Promise<{ readonly port: number; readonly heard: Buffer[] }> {
  const heard: Buffer[] = []
  const server = await startScriptedServer(async (connection) => {
    await connection.greet()
    const framer = new CmFramer()
    let octets = Buffer.alloc(0)
    const answer = async (reply: string): Promise<void> => {
      heard.push(octets)
      octets = Buffer.alloc(0)
      await connection.send(`${reply}\r\n`)
    }
    for await (const chunk of connection.channel) {
      framer.push(chunk)
      octets = Buffer.concat([octets, chunk])
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
        if (frame.kind === 'end-block' || frame.kind === 'payload-end') await answer('DONE')
        if (frame.kind !== 'line') continue
        if (/^(STORE|REPLICATE) /.test(frame.line)) framer.startBlock()
        if (/^(LOGIN|REPLOGIN) /.test(frame.line)) await answer('DONE')
        if (frame.line === 'QUIT') {
          await answer('GOODBYE')
          return
        }
      }
    }
  })
  open.push(server)
  return { port: server.port, heard }
}

/** What the recorded sender said inside TLS, one buffer a command. */
function recordedSender(path: string): Buffer[] {
  return readTranscript(path)
    .filter(({ command }) => command !== '' && command !== 'STARTTLS')
    .map(({ sent }) => sent)
}

function commandsOf(path: string): Exchange[] {
  return readTranscript(path).filter(({ command }) => !/^(|STARTTLS|QUIT)$/.test(command))
}

/** Says to our server what a recorded client said, each command after the answer to the one before. */
async function say(server: RelayServer, commands: readonly Buffer[]): Promise<void> {
  const client = await WireClient.connectSecure(server.port)
  for (const [number, octets] of commands.entries()) {
    client.send(octets)
    client.send(`PING ${number}\r\n`)
    await client.upTo(`PONG ${number}\r\n`)
  }
  client.destroy()
}

function shown(buffers: readonly Buffer[]): string[] {
  return buffers.map((octets) => octets.toString('latin1'))
}

describe.skipIf(!HAS_RECORDINGS)('our sender in the place of the recorded one', () => {
  it('replicates blocks of a user as replication-001, in the order they came, without the invalid one', async () => {
    const peer = await recordingServer()
    const server = await start({ peer: peerAt(peer.port), nowMs: Date.parse('2026-11-25T09:48:30Z') })
    await say(
      server,
      commandsOf('replication/replicated-post-by-user.txt').map(({ sent }) => sent),
    )
    await server.pass()
    const recorded = shown(recordedSender('replication/replication-001.txt'))
    // "invalid work": dropped here, so that the peer need not drop it.
    const expected = recorded.filter((octets) => !octets.startsWith('REPLICATE 83E30A'))
    expect(shown(peer.heard)).toEqual(expected)
  })

  it('replicates a block of nobody as replication-002', async () => {
    const peer = await recordingServer()
    const server = await start({ peer: peerAt(peer.port), nowMs: Date.parse('2026-11-25T09:48:30Z') })
    await say(
      server,
      commandsOf('replication/replicated-post-anonymous.txt').map(({ sent }) => sent),
    )
    await server.pass()
    expect(shown(peer.heard)).toEqual(shown(recordedSender('replication/replication-002.txt')))
  })

  it('replicates accounts as replication-003', async () => {
    const peer = await recordingServer()
    const server = await start({ peer: peerAt(peer.port) })
    await say(
      server,
      commandsOf('replication/replicated-admin.txt').map(({ sent }) => sent),
    )
    await server.pass()
    // GENLOGIN makes another key each time.
    const withoutKey = (octets: string): string =>
      octets.replace(/^REPLOGIN undefined [0-9A-F]{40}\r\n$/, 'REPLOGIN undefined (made)\r\n')
    expect(shown(peer.heard).map(withoutKey)).toEqual(
      shown(recordedSender('replication/replication-003.txt')).map(withoutKey),
    )
  })

  it('replicates key announcements and claims as replication-004', async () => {
    const peer = await recordingServer()
    const recorded = recordedSender('replication/replication-004.txt')
    const posts = recorded
      .map((octets) => octets.toString('latin1'))
      .filter((text) => text.startsWith('REPLICATE '))
    const users = [...new Set(posts.map((post) => post.slice(51, 91)))]
    const accounts = Object.fromEntries(users.map((user, index) => [`ACCOUNTKEY00010${index}`, user]))
    const server = await start({
      peer: peerAt(peer.port),
      accounts,
      nowMs: Date.parse('2026-11-25T09:56:00Z'),
    })
    for (const [authKey, user] of Object.entries(accounts)) {
      const own = posts.filter((post) => post.slice(51, 91) === user)
      const uploads = own.map((post) => post.replace(/^REPLICATE (\S+) \S+/, 'STORE SERVER $1'))
      await say(
        server,
        [`LOGIN ${user} ${authKey}\r\n`, ...uploads].map((text) => Buffer.from(text, 'latin1')),
      )
    }
    await server.pass()
    // The empty line that ends each stored claim is there already (CM wire 4).
    const withoutEmptyEnd = (octets: string): string => octets.replace('\r\n\r\nEndBlock', '\r\nEndBlock')
    expect(shown(peer.heard).map(withoutEmptyEnd).toSorted()).toEqual(shown(recorded).toSorted())
    expect(posts).toHaveLength(2)
  })

  it('delivers an embargoed message as client/21, when its time has come', async () => {
    const target = await recordingServer()
    const server = await start({
      allowed: [`127.0.0.1:${target.port}`],
      nowMs: Date.parse('2026-11-25T09:39:58Z'),
    })
    await say(server, embargoed(target.port))
    await server.pass()
    expect(target.heard).toEqual([])
    server.clock.advance(Date.parse('2026-11-25T09:40:16Z') - server.clock.now())
    await server.relay.settled()
    expect(shown(target.heard)).toEqual(shown(recordedSender('client/21-server-delivers-embargoed-001.txt')))
  })

  it('delivers it to itself when the recipient lives here', async () => {
    const port = await freePort()
    const server = await start({
      port,
      allowed: [`127.0.0.1:${port}`],
      nowMs: Date.parse('2026-11-25T09:39:58Z'),
    })
    await say(server, embargoed(port))
    server.clock.advance(Date.parse('2026-11-25T09:40:16Z') - server.clock.now())
    await server.relay.settled()
    const [data, announcement] = commandsOf('client/19-send-embargo-001.txt')
      .filter(({ command }) => command.startsWith('STORE '))
      .map(({ command }) => parseBlockKey(command.split(' ')[2] ?? ''))
    expect(await heldBy(server, data!)).toMatch(/^Type: data\nDate: 2026-11-25T09:39:58Z\n/)
    expect(await heldBy(server, announcement!)).toContain(`DataBlock: ${data}\n`)
  })
})

/** What the reference client says in client/19, for a target at this port. */
function embargoed(port: number): Buffer[] {
  return commandsOf('client/19-send-embargo-001.txt').map(({ sent }) =>
    Buffer.from(sent.toString('latin1').replace('127.0.0.1:18080', `127.0.0.1:${port}`), 'latin1'),
  )
}

import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { Secret } from '../../src/base/secret.ts'
import { encodeBlockLines, encodeLine } from '../../src/cm/framer.ts'
import { type BlockKey, type MessageHash, mailboxHash, parseKeyId } from '../../src/cm/ids.ts'
import { announcementProofInput, encodeMessageAnnouncement } from '../../src/cm/message-announcement.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import type { QueueRoom } from '../../src/cm/server/relay/queue-port.ts'
import type { ReplicationPeer } from '../../src/cm/server/relay/replicate-to-peer.ts'
import { type RunningRelay, startRelay } from '../../src/cm/server/relay/start-relay.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { CmBlockStore } from '../../src/store/cm-blocks.ts'
import { realClock } from './cm-client-support.ts'
import { startTestCmServer, type TestCmServer, WireClient } from './cm-server-support.ts'
import { ManualClock } from './manual-clock.ts'
import { RecordingLog } from './recording-log.ts'

/** Auth key → user of every server here. */
export const RELAY_ACCOUNTS = {
  ACCOUNTKEY000003: 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344',
  ACCOUNTKEY000004: 'B1B2C3D4E5F60718293A4B5C6D7E8F9011223355',
  ADMINKEY00000001: 'administrator',
  REPLICATIONKEY01: 'replication',
}
export const RELAY_USER = RELAY_ACCOUNTS.ACCOUNTKEY000003

export interface RelayServer extends TestCmServer {
  readonly relay: RunningRelay
  /** The relay's time; the server's own is the same, with timers that run. */
  readonly clock: ManualClock
  readonly log: RecordingLog
  /** Sends what is due, and resolves when nothing is being sent any more. */
  pass(): Promise<void>
}

export interface RelayServerOptions {
  readonly clock?: ManualClock
  readonly nowMs?: number
  /** `host:port` that may be sent to although they are private. */
  readonly allowed?: readonly string[]
  readonly peer?: ReplicationPeer
  readonly room?: QueueRoom
  readonly isOpenRelay?: boolean
  /** Made by an earlier server that was closed; otherwise a new one. */
  readonly directory?: string
  /** Where it listens; any free port when absent. */
  readonly port?: number
  /** Names that resolve, all to loopback. */
  readonly hosts?: readonly string[]
  readonly accounts?: Readonly<Record<string, string>>
}

/** Our CM server on a loopback port with a relay whose time the test owns. */
export async function startRelayServer(options: RelayServerOptions = {}): Promise<RelayServer> {
  const clock = options.clock ?? new ManualClock(options.nowMs ?? Date.now())
  const log = new RecordingLog()
  let relay: RunningRelay | undefined
  const server = await startTestCmServer({
    clock: realClock(() => clock.now()),
    accounts: options.accounts ?? RELAY_ACCOUNTS,
    ...(options.directory === undefined ? {} : { directory: options.directory }),
    ...(options.port === undefined
      ? {}
      : { listen: { listen: [{ host: '127.0.0.1', port: options.port }] } }),
    context: (context) => {
      if (!(context.blocks instanceof CmBlockStore)) throw new Error('the test server has another store')
      relay = startRelay({
        queue: context.blocks.relay,
        blocks: context.blocks,
        judge: context.judge,
        clock,
        // Servers are tried in the order of the list.
        randomInt: (below) => below - 1,
        log,
        client: {
          resolveHost: async (host) => {
            if (options.hosts?.includes(host) === true) return ['127.0.0.1']
            throw new Error(`${host} does not resolve`)
          },
        },
        allowedHostPorts: () => options.allowed ?? [],
        peer: options.peer,
        ...(options.room === undefined ? {} : { room: options.room }),
      })
      return { ...context, relay, isOpenRelay: options.isOpenRelay ?? false }
    },
  })
  const started = relay
  if (started === undefined) throw new Error('the server has no relay')
  return {
    ...server,
    relay: started,
    clock,
    log,
    async pass() {
      started.look()
      await started.settled()
    },
    async close() {
      await started.close()
      await server.close()
    },
  }
}

/** A port nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** The peer that listens there, with the key both sides know. */
export function peerAt(port: number, certificateDigest?: string): ReplicationPeer {
  return { server: { host: '127.0.0.1', port }, authKey: new Secret('REPLICATIONKEY01'), certificateDigest }
}

/** A block as it goes over the wire. */
export interface WireBlock {
  readonly key: BlockKey
  /** LF lines; for data the header with its `Data` line. */
  readonly text: string
  readonly payload?: Buffer
}

/** A valid data block dated `dateMs`. */
export function dataBlock(content: string | Buffer, dateMs: number): WireBlock {
  const payload = Buffer.from(content)
  const date = formatUtcTime(dateMs)
  const proof = solveProofOfWork({ bits: 8, matches: 2 }, Buffer.concat([Buffer.from(date), payload]))
  return {
    key: createHash('sha1').update(payload).digest('hex') as BlockKey,
    text: `Type: data\nDate: ${date}\nVersion: 1\nProofOfWork: ${proof}\nData: ${payload.length}\n`,
    payload,
  }
}

/** A valid announcement of that data block for mailbox 0 of the user. */
export function announcementOf(data: WireBlock, dateMs: number, user = RELAY_USER): WireBlock {
  const recipient = parseKeyId(user)
  if (recipient === undefined) throw new Error(`${user} is no key id`)
  const announcement = {
    date: formatUtcTime(dateMs),
    recipient,
    mailboxPrefix: '0',
    dataBlocks: [data.key],
    messageHash: data.key as string as MessageHash,
  }
  const proofOfWork = solveProofOfWork({ bits: 8, matches: 2 }, announcementProofInput(announcement))
  return {
    key: mailboxHash('0', recipient),
    text: encodeMessageAnnouncement({ ...announcement, proofOfWork }),
  }
}

/** What a server holds under a key, the payload behind its header; undefined: nothing. */
export async function heldBy(
  { store }: Pick<TestCmServer, 'store'>,
  key: BlockKey,
): Promise<string | undefined> {
  const block = await store.find(key)
  if (block === undefined) return undefined
  let text = ''
  for await (const record of block.records()) text += record
  for await (const chunk of block.payload()) text += Buffer.from(chunk).toString('latin1')
  return text
}

/** Sends a command with a block and returns the reply. */
export async function upload(client: WireClient, command: string, block: WireBlock): Promise<string> {
  client.send(encodeLine(command))
  client.send(encodeBlockLines(block.text))
  client.send(block.payload ?? encodeLine('EndBlock'))
  return client.line()
}

/** The block with targets in front. */
export function postTo(block: WireBlock, ...targets: readonly string[]): WireBlock {
  return { ...block, text: `${targets.map((target) => `Post-To: ${target}\n`).join('')}${block.text}` }
}

/** A connection that is logged in as the account with this key. */
export async function loggedIn(
  { port }: Pick<TestCmServer, 'port'>,
  authKey: keyof typeof RELAY_ACCOUNTS = 'ACCOUNTKEY000003',
): Promise<WireClient> {
  const client = await WireClient.connectSecure(port)
  const reply = await client.ask(`LOGIN ${RELAY_ACCOUNTS[authKey]} ${authKey}`)
  if (reply !== 'DONE') throw new Error(`LOGIN: ${reply}`)
  return client
}

/** Has the block passed on for a user, not before `afterMs` when that is given; returns the reply. */
export async function proxy(server: RelayServer, block: WireBlock, after?: number): Promise<string> {
  const client = await loggedIn(server)
  const suffix = after === undefined ? '' : ` AFTER ${formatUtcTime(after)}`
  const reply = await upload(client, `STORE PROXY ${block.key}${suffix}`, block)
  client.destroy()
  return reply
}

/** `host:port` of a server. */
export const placeOf = ({ port }: { readonly port: number }): string => `127.0.0.1:${port}`

/** A target with these servers as alternatives. */
export const targetOf = (...servers: readonly { readonly port: number }[]): string =>
  `server=${servers.map(placeOf).join(',')}`

/** Content of a payload that is more than lies with its row. */
export const large = (content: string): string => content.padEnd(100_000, '.')

/** Keys a server has stored, in order. */
export const keysOf = (server: Pick<TestCmServer, 'stored'>): string[] => server.stored.map(({ key }) => key)

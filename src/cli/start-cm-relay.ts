import { randomInt } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { Secret } from '../base/secret.ts'
import type { Config } from '../bridge/config.ts'
import type { Log } from '../bridge/log.ts'
import { createCmClientEnvironment } from '../cm/client/client-environment.ts'
import type { JudgeBlock } from '../cm/server/block-judge.ts'
import type { ReplicationPeer } from '../cm/server/relay/replicate-to-peer.ts'
import { type RunningRelay, startRelay } from '../cm/server/relay/start-relay.ts'
import { parseServerAddress } from '../cm/transport.ts'
import { formatHostPort } from '../net/connect.ts'
import type { CmBlockStore } from '../store/cm-blocks.ts'
import { misuse } from './cli-error.ts'
import type { CliContext } from './context.ts'
import type { ServeAddress } from './serve-addresses.ts'

export interface StartCmRelayOptions {
  readonly config: Config
  readonly blocks: CmBlockStore
  readonly judge: JudgeBlock
  readonly log: Log
  /** Where our own listener is; asked at each attempt, since a free port is known only when it listens. */
  readonly listensAt: () => ServeAddress
}

const ISOLATION_KEY_BYTES = 32
/** Addresses that stand for all of this machine's. */
const WILDCARDS = ['0.0.0.0', '::']
const LOOPBACK = ['127.0.0.1', '::1']
/** A key is 8 to 40 letters and digits (CM wire 7.3). */
const AUTH_KEY = /^[0-9A-Za-z]{8,40}$/
/** Octets of the file with the key of the account `replication`. */
const MAX_KEY_FILE_BYTES = 1024

/** Starts what our CM server sends to other servers, with the owner's proxies (CM wire 9.3, 9.4). Throws CliError. */
export function startCmRelay(
  { config, blocks, judge, log, listensAt }: StartCmRelayOptions,
  { clock, randomBytes }: CliContext,
  stack: AsyncDisposableStack,
): RunningRelay {
  const peer = replicationPeer(config.cmServer)
  const client = createCmClientEnvironment(config.cm, {
    clock,
    certificateMemory: blocks.relay.certificates,
    isolationKey: randomBytes(ISOLATION_KEY_BYTES),
  })
  stack.defer(() => client.sessions.close())
  const relay = startRelay({
    queue: blocks.relay,
    blocks,
    judge,
    clock,
    randomInt: (below) => randomInt(below),
    log,
    client,
    allowedHostPorts: () => [...config.cm.privateServers, ...ownHostPorts(listensAt())],
    peer,
  })
  stack.defer(() => relay.close())
  return relay
}

/** Our own listener by all its names: an embargoed block waits here and is then stored here. */
function ownHostPorts({ host, port }: ServeAddress): string[] {
  if (LOOPBACK.includes(host)) return [host, 'localhost'].map((name) => formatHostPort(name, port))
  if (!WILDCARDS.includes(host)) return [formatHostPort(host, port)]
  const addresses = Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).map(({ address }) => address),
  )
  return ['localhost', hostname(), ...addresses].map((name) => formatHostPort(name, port))
}

function replicationPeer(settings: Config['cmServer']): ReplicationPeer | undefined {
  const server = parseServerAddress(settings.replicateTo)
  if (settings.replicateTo === '') return undefined
  if (server === undefined) throw misuse(`cmServer.replicateTo = ${settings.replicateTo}: give HOST:PORT`)
  const digest = settings.replicationCertificate.replaceAll(':', '').toLowerCase()
  return {
    server,
    authKey: readAuthKey(settings.replicationKeyFile),
    certificateDigest: digest === '' ? undefined : digest,
  }
}

function readAuthKey(path: string): Secret<string> {
  const setting = 'cmServer.replicationKeyFile'
  const found = path === '' ? undefined : statSync(path, { throwIfNoEntry: false })
  if (found === undefined || !found.isFile()) {
    throw misuse(
      `${setting} = ${path}: give the file with the key of the account "replication" at the other server`,
    )
  }
  const { mode, size } = found
  if ((mode & 0o077) !== 0) throw misuse(`${path}: others can read it; chmod 600 ${path}`)
  const key = size > MAX_KEY_FILE_BYTES ? '' : readFileSync(path, 'utf8').trim()
  if (!AUTH_KEY.test(key)) throw misuse(`${path}: an account key is 8 to 40 letters and digits`)
  return new Secret(key)
}

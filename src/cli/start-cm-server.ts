import { hostname } from 'node:os'
import { duration } from '../base/clock.ts'
import type { Config } from '../bridge/config.ts'
import type { Log } from '../bridge/log.ts'
import { AddressQuotas } from '../cm/server/address-quotas.ts'
import { judgeWith } from '../cm/server/block-judge.ts'
import type { CmServerContext, StoredNotice } from '../cm/server/context.ts'
import { Notifier } from '../cm/server/notifier.ts'
import { startCmServer as listenCmServer } from '../cm/server/start-cm-server.ts'
import { Turns } from '../cm/server/turns.ts'
import { createWorkerPool } from '../cm/workers/worker-pool.ts'
import { createResolveTxt } from '../net/dns-txt.ts'
import { ListenError, type Listener } from '../net/listen.ts'
import { CmBlockStore } from '../store/cm-blocks.ts'
import { portMessage } from './check-ports.ts'
import { CliError } from './cli-error.ts'
import { followAuthFile, followCertificate, followNotifyFile } from './cm-server-files.ts'
import type { CliContext } from './context.ts'
import { lockInstallation } from './installation.ts'
import { keepHeapSmall } from './keep-heap-small.ts'
import { maxAgesOf } from './max-ages.ts'
import type { OwnCmAccounts } from './own-cm-server.ts'
import type { ServeAddress } from './serve-addresses.ts'
import { sendBySmtp } from './smtp-notifications.ts'
import { type StartCmRelayOptions, startCmRelay } from './start-cm-relay.ts'

export interface StartCmServerOptions {
  /** Its own directory: blocks, accounts, certificate. */
  readonly directory: string
  readonly address: ServeAddress
  readonly config: Config
  readonly log: Log
  readonly onStored: (block: StoredNotice) => void
  /** The administrator's SHUTDOWN has ended the server (CM wire 7.3). */
  readonly onShutdown: () => void
  /** Nothing can be stored any more. */
  readonly onFailure: (error: Error) => void
}

/** Threads that judge what is uploaded: proofs of work and foreign keys. */
const JUDGE_THREADS = 1
/** Texts over 64 KiB, such as a whole mailbox of another server, that are in memory at once. */
const LARGE_TEXTS = 2
const PRUNE_EVERY_MS = duration.day
/** One network gets a quarter of all places, but never less than a household needs (CM wire S9). */
const PLACES_PER_NETWORK = 1 / 4
const MIN_PLACES_PER_NETWORK = 64

export interface StartedCmServer {
  /** Where it listens. */
  readonly address: ServeAddress
  readonly accounts: OwnCmAccounts
}

/** Runs our CM server on a directory of its own (design 12). Throws CliError. */
export async function startCmServer(
  options: StartCmServerOptions,
  context: CliContext,
  stack: AsyncDisposableStack,
): Promise<StartedCmServer> {
  const { directory, address } = options
  keepHeapSmall()
  const log = options.log.child({ part: 'cm-server' })
  const holder = { pid: process.pid, startedAtMs: context.clock.now(), verb: 'cm-server', runDirectory: '' }
  const { lock } = lockInstallation(directory, holder)
  stack.defer(() => lock.release())
  const stopping = Promise.withResolvers<void>()
  let listensAt = address
  const server = await composeServer({ ...options, log, listensAt: () => listensAt }, context, stack)
  const listener = await openListener(
    { ...server, onShutdown: () => stopping.resolve() },
    { address, connections: options.config.cmServer.connections },
  )
  stack.defer(() => listener.closeAll())
  void stopping.promise.then(async () => {
    log.warn({}, 'the administrator has ended the server')
    await listener.closeAll()
    options.onShutdown()
  })
  const [open] = listener.addresses
  listensAt = { ...address, port: open?.port ?? address.port }
  return {
    address: listensAt,
    accounts: {
      newAuthKey: () => server.accounts.newAuthKey(),
      assign: (entries) => server.accounts.assign(entries, { tellPeer: server.relay?.hasPeer === true }),
    },
  }
}

/** What the sessions of the server share. */
async function composeServer(
  {
    directory,
    config,
    log,
    onStored,
    onFailure,
    listensAt,
  }: StartCmServerOptions & Pick<StartCmRelayOptions, 'listensAt'>,
  context: CliContext,
  stack: AsyncDisposableStack,
): Promise<CmServerContext> {
  const { clock, randomBytes } = context
  const { cmServer, lookup } = config
  const maxAges = maxAgesOf(cmServer)
  const files = { directory, clock, log }
  const certificate = await followCertificate(files, [hostname()])
  stack.defer(certificate.end)
  const blocks = await CmBlockStore.open(directory, {
    clock,
    randomBytes,
    maxAges,
    onFailure,
  })
  stack.defer(() => blocks.close())
  stack.defer(
    await followAuthFile(files, cmServer.authFile, (entries) => blocks.accounts.importFile(entries)),
  )
  const pool = createWorkerPool({ threads: JUDGE_THREADS, clock })
  stack.defer(() => pool.close())
  const judge = judgeWith(pool)
  const relay = startCmRelay({ config, blocks, judge, log, listensAt }, context, stack)
  stack.defer(prunedDaily(blocks, clock, log))
  const notifier = new Notifier({ clock, randomBytes, send: sendBySmtp, log })
  stack.defer(() => notifier.close())
  stack.defer(await followNotifyFile(files, cmServer.notifyFile, notifier))
  const { connections } = cmServer
  return {
    blocks,
    accounts: blocks.accounts,
    judge,
    relay,
    largeTexts: new Turns(LARGE_TEXTS),
    clock,
    tls: certificate.tls,
    maxAges,
    log,
    quotas: new AddressQuotas(
      clock,
      Math.max(MIN_PLACES_PER_NETWORK, Math.floor(connections * PLACES_PER_NETWORK)),
    ),
    resolveTxt: cmServer.dnsTxt ? createResolveTxt({ resolvers: lookup.dnsResolvers }) : undefined,
    isOpenRelay: cmServer.anonymousProxy,
    onStored: (block) => {
      notifier.noteStored(block)
      onStored(block)
    },
  }
}

async function openListener(
  context: CmServerContext,
  { address, connections }: { readonly address: ServeAddress; readonly connections: number },
): Promise<Listener> {
  try {
    // Places of one address are counted by the quotas, which leave loopback alone.
    return await listenCmServer(context, {
      listen: [address],
      maxConnections: connections,
      maxConnectionsPerAddress: connections,
    })
  } catch (error) {
    if (error instanceof ListenError) throw new CliError(portMessage('cmServer', address, error))
    throw error
  }
}

/** Removes expired blocks now and once a day; returns what ends it. */
function prunedDaily(blocks: CmBlockStore, clock: CliContext['clock'], log: Log): () => Promise<void> {
  let cancel: () => void
  let pruning: Promise<void> = Promise.resolve()
  const prune = (): void => {
    pruning = blocks.prune().then(
      (count) => log.debug({ count }, 'expired blocks removed'),
      (cause: unknown) => log.error({ cause }, 'expired blocks were not removed'),
    )
    cancel = clock.after(PRUNE_EVERY_MS, prune)
  }
  cancel = clock.after(duration.minute, prune)
  return async () => {
    cancel()
    await pruning
  }
}

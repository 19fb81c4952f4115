import { join } from 'node:path'
import type { Config } from '../bridge/config.ts'
import type { Log } from '../bridge/log.ts'
import { stopLeftoverRedis } from '../bridge/redis-server.ts'
import { startBridge } from '../bridge/start-bridge.ts'
import type { StoredNotice } from '../cm/server/context.ts'
import { formatHostPort } from '../net/connect.ts'
import type { InstallCertificates } from '../net/install-certificates.ts'
import type { LockHolder } from '../store/instance-lock.ts'
import { openStore } from '../store/open-store.ts'
import { accountVerbs } from './account-verbs.ts'
import { certificateVerbs } from './certificate-verbs.ts'
import { checkPorts } from './check-ports.ts'
import { CliError, exitCode } from './cli-error.ts'
import { contactVerbs } from './contact-verbs.ts'
import { type CliContext, type CommonFlags, dataDirectory, settingsOf } from './context.ts'
import { startControlServer } from './control-server.ts'
import { importVerbs } from './import-verbs.ts'
import { instanceId, lockInstallation, openCertificates } from './installation.ts'
import { keyVerbs } from './key-verbs.ts'
import { createLog } from './log.ts'
import { openQueue } from './open-queue.ts'
import { runningCmServer } from './own-cm-server.ts'
import { pollOwners } from './poll-owners.ts'
import { openRunDirectory } from './run-directory.ts'
import { configuredAddresses, type ServeAddress, type ServeAddresses } from './serve-addresses.ts'
import { type StartCmServerOptions, type StartedCmServer, startCmServer } from './start-cm-server.ts'
import { startListeners } from './start-listeners.ts'

/** Milliseconds for an orderly end; then the process ends anyway, and the next start takes up what was left. */
const SHUTDOWN_MS = 30_000

/** Runs the bridge until SIGTERM or SIGINT. Throws CliError when it cannot start, or has to end. */
export async function runServe(context: CliContext, flags: CommonFlags): Promise<void> {
  const config = settingsOf(context, flags)
  const directory = dataDirectory(context, flags)
  const log = createLog(config.log, (text) => process.stderr.write(text))
  const failed = Promise.withResolvers<Error>()
  await using stack = new AsyncDisposableStack()
  stack.defer(() => log.info({}, 'ended'))
  const running = await compose(context, { config, directory, log, onFailure: failed.resolve }, stack)
  stack.defer(() => log.info({}, 'ending'))
  context.print(flags.json === true ? `${JSON.stringify(readyEvent(running))}\n` : `${readyLine(running)}\n`)
  const reason = await Promise.race([context.askedToEnd, failed.promise])
  context.clock.after(SHUTDOWN_MS, () => process.exit(exitCode.failure))
  if (reason instanceof Error) throw new CliError(`the bridge had to end: ${reason.message}`)
}

interface ComposeOptions {
  readonly config: Config
  readonly directory: string
  readonly log: Log
  /** Nothing can be stored any more. */
  readonly onFailure: (error: Error) => void
}

interface RunningServe {
  readonly addresses: ServeAddresses
  readonly certificates: InstallCertificates
}

/**
 * Builds the whole program, in this order: lock, ports (only tried), certificates, store, Redis, CM server, bridge,
 * listeners, control socket. The stack takes it down in the opposite order.
 */
async function compose(
  context: CliContext,
  { config, directory, log, onFailure }: ComposeOptions,
  stack: AsyncDisposableStack,
): Promise<RunningServe> {
  const { clock, randomBytes } = context
  const runDirectory = await openLockedRunDirectory(context, directory, stack)
  const wanted = await checkPorts(configuredAddresses(config))
  const certificates = await openCertificates(context, directory, config)
  const store = await openStore({ directory, clock, randomBytes, onFailure })
  stack.defer(() => store.close())
  // The bridge comes last; until then there is nothing to tell it.
  let onJobsLost = (): void => undefined
  let onStored = (_block: StoredNotice): void => undefined
  const queue = await openQueue(
    {
      config,
      dataDirectory: directory,
      runDirectory,
      instanceId: instanceId(context, directory),
      clock,
      log,
      onJobsLost: () => onJobsLost(),
    },
    stack,
  )
  const own = {
    config,
    directory,
    log,
    wanted,
    onFailure,
    onStored: (block: StoredNotice) => onStored(block),
  }
  const cmServer = await startOwnCmServer(context, own, stack)
  const ownCmServer = cmServer && runningCmServer(config, cmServer.address.port, cmServer.accounts)
  const bridge = await startBridge({ store, queue, config, clock, randomBytes, log, ownCmServer })
  stack.defer(() => bridge.close())
  onJobsLost = () => {
    bridge.reconcile().catch((cause: unknown) => log.error({ cause }, 'the reconciler failed'))
  }
  onStored = (block) => pollOwners({ bridge, store, log }, block)
  const opened = await startListeners(
    { bridge, addresses: wanted, leaf: certificates.leaf, config, clock, log },
    stack,
  )
  const addresses = { ...opened, cmServer: cmServer === undefined ? [] : [cmServer.address] }
  const verbs = {
    ...accountVerbs(bridge.accounts),
    ...keyVerbs(bridge.keys),
    ...importVerbs({ store, clock, accounts: bridge.accounts, keys: bridge.keys }),
    ...certificateVerbs(store),
    ...contactVerbs(bridge.contacts),
    addresses: async () => addresses,
  }
  const control = await startControlServer({ runDirectory, verbs, log })
  stack.defer(() => control.close())
  return { addresses, certificates }
}

/** The lock, with the run directory that others find through it; what a killed run left in its own is cleaned up. */
async function openLockedRunDirectory(
  context: CliContext,
  directory: string,
  stack: AsyncDisposableStack,
): Promise<string> {
  const run = openRunDirectory(directory, context.environment)
  stack.defer(() => run.release())
  const holder: LockHolder = {
    pid: process.pid,
    startedAtMs: context.clock.now(),
    verb: 'serve',
    runDirectory: run.path,
  }
  const { lock, abandoned } = lockInstallation(directory, holder)
  stack.defer(() => lock.release())
  if (abandoned !== undefined && abandoned.runDirectory !== '' && abandoned.runDirectory !== run.path) {
    await stopLeftoverRedis(abandoned.runDirectory, context.clock)
  }
  return run.path
}

async function startOwnCmServer(
  context: CliContext,
  options: Pick<ComposeOptions, 'config' | 'directory' | 'log' | 'onFailure'> &
    Pick<StartCmServerOptions, 'onStored'> & { readonly wanted: ServeAddresses },
  stack: AsyncDisposableStack,
): Promise<StartedCmServer | undefined> {
  const [address] = options.wanted.cmServer
  if (address === undefined) return undefined
  const { config, directory, log, onStored, onFailure } = options
  // The bridge goes on without it: its owner's mail program is no business of the server's administrator.
  const onShutdown = (): void => log.warn({}, 'the CM server is back at the next start')
  const own = {
    directory: join(directory, 'cm-server'),
    address,
    config,
    log,
    onStored,
    onShutdown,
    onFailure,
  }
  return await startCmServer(own, context, stack)
}

/** For people. */
function readyLine({ addresses }: RunningServe): string {
  const listed = (name: string, all: readonly ServeAddress[]) =>
    all.length === 0 ? [] : [`${name} ${all.map(({ host, port }) => formatHostPort(host, port)).join(' ')}`]
  const parts = [
    ...listed('SMTP', addresses.smtp),
    ...listed('IMAP', addresses.imap),
    ...listed('CM server', addresses.cmServer),
  ]
  return `ready: ${parts.join(', ')}`
}

/** For scripts: where it listens, with real ports. */
function readyEvent({ addresses, certificates }: RunningServe): Record<string, unknown> {
  return { event: 'ready', pid: process.pid, ...addresses, authorityFile: certificates.authorityFile }
}

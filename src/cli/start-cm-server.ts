import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { duration } from '../base/clock.ts'
import type { Log } from '../bridge/log.ts'
import { DEFAULT_MAX_AGES } from '../cm/block-verdict.ts'
import { AuthFileError, parseAuthFile } from '../cm/server/auth-file.ts'
import { judgeWith } from '../cm/server/block-judge.ts'
import type { StoredNotice } from '../cm/server/context.ts'
import { startCmServer as listenCmServer } from '../cm/server/start-cm-server.ts'
import { createWorkerPool } from '../cm/workers/worker-pool.ts'
import { loadCmServerCertificate } from '../net/install-certificates.ts'
import { ListenError } from '../net/listen.ts'
import { createServerTls } from '../net/server-tls.ts'
import { CmBlockStore } from '../store/cm-blocks.ts'
import { portMessage } from './check-ports.ts'
import { CliError, misuse } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { lockInstallation } from './installation.ts'
import type { ServeAddress } from './serve-addresses.ts'

export interface StartCmServerOptions {
  /** Its own directory: blocks, accounts, certificate. */
  readonly directory: string
  readonly address: ServeAddress
  /** In the reference's auth.txt format; undefined: `auth.txt` in the directory, when it is there. */
  readonly authFile: string | undefined
  readonly log: Log
  readonly onStored: (block: StoredNotice) => void
}

/** Threads that judge what is uploaded: proofs of work and foreign keys. */
const JUDGE_THREADS = 1
const PRUNE_EVERY_MS = duration.day

/** Runs our CM server on a directory of its own (design 12); returns where it listens. Throws CliError. */
export async function startCmServer(
  options: StartCmServerOptions,
  { clock, randomBytes }: CliContext,
  stack: AsyncDisposableStack,
): Promise<ServeAddress> {
  const { directory, address } = options
  const log = options.log.child({ part: 'cm-server' })
  const holder = { pid: process.pid, startedAtMs: clock.now(), verb: 'cm-server', runDirectory: '' }
  const { lock } = lockInstallation(directory, holder)
  stack.defer(() => lock.release())
  const certificate = await loadCmServerCertificate(directory, { names: [hostname()], nowMs: clock.now() })
  const tls = createServerTls(certificate)
  const blocks = new CmBlockStore(directory, { clock, randomBytes })
  stack.defer(() => blocks.close())
  const entries = readAuthFile(options)
  if (entries !== undefined) await blocks.accounts.importFile(entries)
  const pool = createWorkerPool({ threads: JUDGE_THREADS, clock })
  stack.defer(() => pool.close())
  stack.defer(prunedDaily(blocks, clock, log))
  const context = {
    blocks,
    accounts: blocks.accounts,
    judge: judgeWith(pool),
    clock,
    tls: () => tls,
    maxAges: DEFAULT_MAX_AGES,
    log,
    onStored: options.onStored,
  }
  try {
    const listener = await listenCmServer(context, { listen: [address] })
    stack.defer(() => listener.closeAll())
    const [open] = listener.addresses
    return { host: address.host, port: open?.port ?? address.port, implicitTls: false }
  } catch (error) {
    if (error instanceof ListenError) throw new CliError(portMessage('cmServer', address, error))
    throw error
  }
}

function readAuthFile({
  directory,
  authFile,
}: StartCmServerOptions): ReturnType<typeof parseAuthFile> | undefined {
  const path = authFile ?? join(directory, 'auth.txt')
  if (!existsSync(path)) {
    if (authFile === undefined) return undefined
    throw misuse(`${path}: no such account file`)
  }
  try {
    return parseAuthFile(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof AuthFileError) throw misuse(`${path}: ${error.message}`)
    throw error
  }
}

/** Removes expired blocks now and once a day; returns what ends it. */
function prunedDaily(blocks: CmBlockStore, clock: CliContext['clock'], log: Log): () => Promise<void> {
  let cancel: () => void
  let pruning: Promise<void> = Promise.resolve()
  const prune = (): void => {
    pruning = blocks.prune(DEFAULT_MAX_AGES).then(
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

import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import type { PooledCmEnvironment } from '../cm/client/client-environment.ts'
import type { Network } from '../cm/client/server-list.ts'
import type { CmLogin, ServersRequest } from '../cm/client/with-servers.ts'
import type { ProofOfWorkSolver } from '../cm/proof-of-work-solver.ts'
import { parseServerAddress, parseTransport, type ServerAddress } from '../cm/transport.ts'
import type { WorkerPool } from '../cm/workers/worker-pool.ts'
import { anyAddress, publicAddressesExcept } from '../net/address-guard.ts'
import {
  type Account,
  accountById,
  listAccounts,
  loadAuthKey,
  loadSecretKey,
} from '../store/account-queries.ts'
import type { AccountId } from '../store/ids.ts'
import type { Store } from '../store/open-store.ts'
import type { KeyLookup } from './key-lookup.ts'
import type { Log } from './log.ts'

/** What every stage is given beside its row. */
export interface BridgeContext {
  readonly store: Store
  readonly clock: Clock
  readonly randomBytes: (size: number) => Uint8Array
  /** In [0, 1). */
  readonly random: () => number
  readonly log: Log
  readonly lookup: KeyLookup
  readonly solver: ProofOfWorkSolver
  /** Runs OpenPGP and whatever hostile input may make slow. */
  readonly pool: WorkerPool
  readonly cm: PooledCmEnvironment
  readonly directories: BridgeDirectories
  /** Names of ciphertext files whose rows are not committed yet: housekeeping leaves them alone. */
  readonly freshCiphertexts: Set<string>
  /** Milliseconds between looks while the owner is connected. */
  readonly pollMs: number
  /** True while the owner has an IMAP session. */
  readonly isConnected: (accountId: AccountId) => boolean
  /** `host:port` that may be contacted although the network named them and they are private (design 8.4). */
  readonly privateServers: readonly string[]
  /** Classes of servers that are posted to through the own server (`cm.postByProxy`). */
  readonly postByProxy: readonly Network[]
}

/** The context without the look-up: what the look-up itself is given. */
export type CmContext = Omit<BridgeContext, 'lookup'>

export interface BridgeDirectories {
  /** Ciphertexts on their way out: one file a copy. */
  readonly outbound: string
  /** Data blocks on their way in: one directory a message. */
  readonly inbound: string
}

/** Names of the directories below `outbound` in which a message stands in clear while it is encoded. */
export const OUTBOUND_WORK_PREFIX = 'work-'

/** Makes the directories (0700) below the data directory; what a killed run left there in clear is removed. */
export async function prepareBridgeDirectories(dataDirectory: string): Promise<BridgeDirectories> {
  const directories = { outbound: join(dataDirectory, 'outbound'), inbound: join(dataDirectory, 'inbound') }
  await mkdir(directories.outbound, { recursive: true, mode: 0o700 })
  await mkdir(directories.inbound, { recursive: true, mode: 0o700 })
  for (const name of await readdir(directories.outbound)) {
    if (name.startsWith(OUTBOUND_WORK_PREFIX)) await removeDirectory(join(directories.outbound, name))
  }
  return directories
}

/** The account of a row; rows go with their account, so it is there. */
export function requireAccount(context: Pick<CmContext, 'store'>, accountId: AccountId): Account {
  const account = accountById(context.store.read, accountId)
  if (account === undefined) throw new Error('no such account')
  return account
}

/** The account's secret key; fail closed: without it nothing is signed, decrypted or guessed. */
export function requireSecretKey(context: Pick<CmContext, 'store'>, accountId: AccountId): Secret<string> {
  const secretKey = loadSecretKey(context.store.read, accountId)
  if (secretKey === undefined) throw new Error('the account has no secret key')
  return secretKey
}

/** The account's own servers. */
export function ownServers(account: Account): ServerAddress[] {
  return account.servers.map(parseServerAddress).filter((server) => server !== undefined)
}

/** `server=host:port,…` of the account itself, as it announces it. */
export function ownTransport(account: Account): string {
  return `server=${account.servers.join(',')}`
}

/** Servers of a transport somebody else named; none for Entangled, which is not spoken yet. */
export function serversOfTransport(transport: string): ServerAddress[] {
  const parsed = parseTransport(transport)
  return parsed?.kind === 'servers' ? [...parsed.servers] : []
}

/** True when the account can log in at its servers: they take blocks to pass on from nobody else (CM wire 8.5). */
export function hasLogin({ read }: Pick<CmContext['store'], 'read'>, accountId: AccountId): boolean {
  return loadAuthKey(read, accountId) !== undefined
}

/** A request to the account's own servers, logged in when it has an auth key. */
export function ownServersRequest(context: CmContext, account: Account): ServersRequest {
  const authKey = loadAuthKey(context.store.read, account.id)
  const login: CmLogin | undefined = authKey === undefined ? undefined : { userId: account.keyId, authKey }
  return {
    servers: ownServers(account),
    judge: anyAddress,
    environment: context.cm,
    randomInt: (limit) => Math.floor(context.random() * limit),
    isolation: `${account.id} as itself`,
    ...(login === undefined ? {} : { login }),
  }
}

/**
 * A request to servers the network named: without login, and never to private addresses unless the same `host:port`
 * stands in an account's own list or in `cm.privateServers` (design 8.4). `accountId` is whose errand it is: through a
 * proxy nobody can link it to another account's, nor to what the same account does with its login.
 */
export function namedServersRequest(
  context: Pick<CmContext, 'store' | 'cm' | 'random' | 'privateServers'>,
  servers: readonly ServerAddress[],
  accountId: AccountId,
): ServersRequest {
  const own = listAccounts(context.store.read).flatMap(({ servers: current, network }) => [
    ...current,
    ...(network.old?.servers ?? []),
  ])
  return {
    servers,
    judge: publicAddressesExcept([...own, ...context.privateServers]),
    environment: context.cm,
    isolation: `${accountId} as a stranger`,
    randomInt: (limit) => Math.floor(context.random() * limit),
  }
}

/** Removes a private work directory, whatever is in it. */
export async function removeDirectory(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

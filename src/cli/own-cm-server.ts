import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../bridge/config.ts'
import type { OwnCmServer } from '../bridge/own-cm-server.ts'
import { makeAuthKey } from '../store/cm-blocks-accounts.ts'
import type { CliContext } from './context.ts'
import { parseHostPort } from './serve-addresses.ts'
import { withIdleBlocks } from './with-idle-blocks.ts'

/** The accounts of our own CM server, as `account add` needs them. */
export type OwnCmAccounts = Pick<OwnCmServer, 'assign' | 'newAuthKey'>

/** The running CM server of this process, on the port it really has. */
export function runningCmServer(config: Config, port: number, accounts: OwnCmAccounts): OwnCmServer {
  return { ...accounts, isAt: (hostPort) => isHere(config, hostPort, port) }
}

/** The CM server of a data directory nobody runs on; its accounts are opened, with its lock, when there is a change. */
export function idleCmServer(
  context: CliContext,
  dataDirectory: string,
  config: Config,
): OwnCmServer | undefined {
  if (!config.cmServer.enabled) return undefined
  const { randomBytes } = context
  const { port } = parseHostPort(config.cmServer.listen)
  const idle = { directory: join(dataDirectory, 'cm-server'), settings: config.cmServer, verb: 'account' }
  return {
    isAt: (hostPort) => port !== 0 && isHere(config, hostPort, port),
    newAuthKey: () => makeAuthKey(randomBytes),
    assign: (entries) => withIdleBlocks(context, idle, (blocks) => blocks.accounts.assign(entries)),
  }
}

/** Names of this machine: loopback, its addresses and host name, and the names the owner gave it (`tls.names`). */
function isHere(config: Config, hostPort: string, port: number): boolean {
  const asked = parseHostPort(hostPort)
  const host = asked.host.toLowerCase()
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  const names = [
    'localhost',
    hostname(),
    parseHostPort(config.cmServer.listen).host,
    ...config.tls.names,
    ...addresses.map(({ address }) => address),
  ]
  const isNamed = names.some((name) => name.toLowerCase() === host) || host.startsWith('127.')
  return asked.port === port && isNamed
}

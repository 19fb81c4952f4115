import { Secret } from '../base/secret.ts'
import type { AccountAdministration } from '../bridge/bridge.ts'
import { CliError } from './cli-error.ts'
import type { ControlVerbs } from './control-protocol.ts'

/** `account add` as plain data, on its way through control.sock. */
export interface AccountAddArgs {
  readonly address: string
  readonly displayName: string
  readonly servers: readonly string[]
  readonly authKey: string | null
  readonly secretKeyArmor: string | null
}

export interface AccountAddResult {
  readonly address: string
  readonly keyId: string
  readonly appPassword: string
}

export interface AccountRemoveArgs {
  readonly account: string
}

/** The verbs that change accounts, for the control socket and for a process that holds the lock itself. */
export function accountVerbs(accounts: AccountAdministration): ControlVerbs {
  return {
    'account add': async (args) => {
      const { address, displayName, servers, authKey, secretKeyArmor } = addArgs(args)
      const outcome = await accounts.add({
        address,
        displayName,
        servers,
        authKey: authKey === null ? undefined : new Secret(authKey),
        secretKeyArmor: secretKeyArmor === null ? undefined : new Secret(secretKeyArmor),
      })
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      const { keyId, appPassword } = outcome
      return { address: outcome.address, keyId, appPassword: appPassword.reveal() } satisfies AccountAddResult
    },
    'account remove': async (args) => {
      const account = fieldOf(args, 'account')
      if (typeof account !== 'string') throw badArgs('account remove')
      const outcome = await accounts.remove(account)
      if (outcome.kind === 'no-such-account') {
        throw new CliError(`no account ${account} here; "cmbridge account list" shows those there are`)
      }
      return {}
    },
  }
}

function addArgs(args: unknown): AccountAddArgs {
  const [address, displayName, servers] = [
    fieldOf(args, 'address'),
    fieldOf(args, 'displayName'),
    fieldOf(args, 'servers'),
  ]
  const [authKey, secretKeyArmor] = [fieldOf(args, 'authKey'), fieldOf(args, 'secretKeyArmor')]
  if (typeof address !== 'string' || typeof displayName !== 'string') throw badArgs('account add')
  if (!Array.isArray(servers) || !servers.every((server) => typeof server === 'string'))
    throw badArgs('account add')
  if (!isTextOrNull(authKey) || !isTextOrNull(secretKeyArmor)) throw badArgs('account add')
  return { address, displayName, servers, authKey, secretKeyArmor }
}

function fieldOf(args: unknown, name: string): unknown {
  return typeof args === 'object' && args !== null ? (args as Record<string, unknown>)[name] : undefined
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

/** Two releases that speak to each other: the asking one is older or newer than the one that runs. */
function badArgs(verb: string): CliError {
  return new CliError(
    `"${verb}" is asked for in a way the running bridge does not know: restart it after an update`,
  )
}

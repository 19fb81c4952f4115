import { Secret } from '../base/secret.ts'
import type { AccountAdministration, AccountSettingsRequest } from '../bridge/bridge.ts'
import type { AppPasswordScope } from '../store/app-password.ts'
import { noSuchAccount } from './account-show.ts'
import { CliError } from './cli-error.ts'
import type { ControlVerbs } from './control-protocol.ts'
import {
  badArgs,
  fieldOf,
  isNumber,
  isText,
  isTextOrNull,
  isTexts,
  isTruth,
  textFields,
} from './verb-args.ts'

/** `account add` as plain data, on its way through control.sock. */
export interface AccountAddArgs {
  readonly address: string
  readonly displayName: string
  readonly servers: readonly string[]
  readonly authKey: string | null
  readonly secretKeyArmor: string | null
  /** Of that key. */
  readonly passphrase?: string | null
}

export interface AccountAddResult {
  readonly address: string
  readonly keyId: string
  readonly appPassword: string
  readonly hasAuthKey: boolean
}

export interface AccountRemoveArgs {
  readonly account: string
}

/** `account set` as plain data: what is left out stays as it is, null takes a key away. */
export interface AccountSetArgs {
  readonly account: string
  readonly displayName?: string | undefined
  readonly mailboxCount?: number | undefined
  readonly costBits?: number | undefined
  readonly servers?: readonly string[] | undefined
  readonly authKey?: string | null | undefined
  readonly oldServers?: readonly string[] | undefined
  readonly oldAuthKey?: string | null | undefined
  readonly oldUntil?: string | undefined
  readonly publishServers?: readonly string[] | undefined
  readonly publishAuthKey?: string | null | undefined
  readonly usesBypassTokens?: boolean | undefined
  readonly appliesFolderSync?: boolean | undefined
  readonly rotateDays?: number | undefined
}

export interface PasswordAddArgs {
  readonly account: string
  readonly name: string
  readonly scopes: readonly AppPasswordScope[]
}

export interface PasswordAddResult {
  readonly appPassword: string
}

export interface PasswordRevokeArgs {
  readonly account: string
  readonly name: string
}

/** The verbs that change accounts, for the control socket and for a process that holds the lock itself. */
export function accountVerbs(accounts: AccountAdministration): ControlVerbs {
  return {
    'account add': (args) => addAccount(accounts, addArgs(args)),
    'account remove': async (args) => {
      const { account } = textFields('account remove', args, ['account'])
      const outcome = await accounts.remove(account)
      if (outcome.kind === 'no-such-account') throw noSuchAccount(account)
      return {}
    },
    'account set': async (args) => {
      const request = setArgs(args)
      const outcome = await accounts.set(request)
      if (outcome.kind === 'no-such-account') throw noSuchAccount(request.account)
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      return {}
    },
    'account password add': async (args) => {
      const { account, name } = textFields('account password add', args, ['account', 'name'])
      const scopes = fieldOf(args, 'scopes')
      if (!isTexts(scopes) || !scopes.every((scope) => scope === 'imap' || scope === 'smtp')) {
        throw badArgs('account password add')
      }
      const outcome = await accounts.addPassword({ account, name, scopes })
      if (outcome.kind === 'no-such-account') throw noSuchAccount(account)
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      return { appPassword: outcome.appPassword.reveal() } satisfies PasswordAddResult
    },
    'account password revoke': async (args) => {
      const { account, name } = textFields('account password revoke', args, ['account', 'name'])
      const { kind } = await accounts.revokePassword(account, name)
      if (kind === 'no-such-account') throw noSuchAccount(account)
      if (kind === 'no-such-password') {
        const list = `"cmbridge account password list ${account}"`
        throw new CliError(`no password ${name} of ${account}; ${list} shows those there are`)
      }
      return {}
    },
  }
}

async function addAccount(accounts: AccountAdministration, args: AccountAddArgs): Promise<AccountAddResult> {
  const { address, displayName, servers, authKey, secretKeyArmor, passphrase } = args
  const outcome = await accounts.add({
    address,
    displayName,
    servers,
    authKey: authKey === null ? undefined : new Secret(authKey),
    secretKeyArmor: secretKeyArmor === null ? undefined : new Secret(secretKeyArmor),
    passphrase: passphrase === null || passphrase === undefined ? undefined : new Secret(passphrase),
  })
  if (outcome.kind === 'refused') throw new CliError(outcome.reason)
  const { keyId, appPassword, hasAuthKey } = outcome
  return { address: outcome.address, keyId, appPassword: appPassword.reveal(), hasAuthKey }
}

function addArgs(args: unknown): AccountAddArgs {
  const [address, displayName, servers] = [
    fieldOf(args, 'address'),
    fieldOf(args, 'displayName'),
    fieldOf(args, 'servers'),
  ]
  const [authKey, secretKeyArmor] = [fieldOf(args, 'authKey'), fieldOf(args, 'secretKeyArmor')]
  if (typeof address !== 'string' || typeof displayName !== 'string') throw badArgs('account add')
  if (!isTexts(servers)) throw badArgs('account add')
  const passphrase = fieldOf(args, 'passphrase') ?? null
  if (!isTextOrNull(authKey) || !isTextOrNull(secretKeyArmor) || !isTextOrNull(passphrase))
    throw badArgs('account add')
  return { address, displayName, servers, authKey, secretKeyArmor, passphrase }
}

const IS_OF_SETTING: Readonly<Record<keyof AccountSetArgs, (value: unknown) => boolean>> = {
  account: isText,
  displayName: isText,
  mailboxCount: isNumber,
  costBits: isNumber,
  servers: isTexts,
  authKey: isTextOrNull,
  oldServers: isTexts,
  oldAuthKey: isTextOrNull,
  oldUntil: isText,
  publishServers: isTexts,
  publishAuthKey: isTextOrNull,
  usesBypassTokens: isTruth,
  appliesFolderSync: isTruth,
  rotateDays: isNumber,
}

function setArgs(args: unknown): AccountSettingsRequest {
  if (!isSetArgs(args)) throw badArgs('account set')
  const { authKey, oldAuthKey, publishAuthKey } = args
  const secret = (text: string | null | undefined): Secret<string> | null | undefined =>
    text === null || text === undefined ? text : new Secret(text)
  return {
    ...args,
    authKey: secret(authKey),
    oldAuthKey: secret(oldAuthKey),
    publishAuthKey: secret(publishAuthKey),
  }
}

/** A setting this release does not know is one that would be ignored: refused. */
function isSetArgs(args: unknown): args is AccountSetArgs {
  if (typeof args !== 'object' || args === null || !('account' in args)) return false
  const checks = new Map<string, (value: unknown) => boolean>(Object.entries(IS_OF_SETTING))
  return Object.entries(args).every(
    ([name, value]) => value === undefined || checks.get(name)?.(value) === true,
  )
}

import { Secret } from '../base/secret.ts'
import { type ImportAccountOptions, importAccount } from '../bridge/import-account.ts'
import { CliError } from './cli-error.ts'
import type { ControlVerbs } from './control-protocol.ts'
import { badArgs, fieldOf, isTextOrNull, textFields } from './verb-args.ts'

/** `account import` as plain data, on its way through control.sock: files as texts. */
export interface AccountImportArgs {
  readonly config: string
  readonly tokens: string | null
  readonly secretKey: string
  readonly passphrase: string | null
}

export interface AccountImportResult {
  readonly address: string
  readonly keyId: string
  /** null: the account was here. */
  readonly appPassword: string | null
  readonly taken: readonly string[]
  readonly notTaken: readonly string[]
  readonly settings: readonly string[]
}

/** The verb that takes over an account of the reference client; like `accountVerbs`, with and without a running bridge. */
export function importVerbs(options: ImportAccountOptions): ControlVerbs {
  return {
    'account import': async (args): Promise<AccountImportResult> => {
      const { config, secretKey } = textFields('account import', args, ['config', 'secretKey'])
      const [tokens, passphrase] = [fieldOf(args, 'tokens'), fieldOf(args, 'passphrase')]
      if (!isTextOrNull(tokens) || !isTextOrNull(passphrase)) throw badArgs('account import')
      const outcome = await importAccount(options, {
        config: new Secret(config),
        secretKey: new Secret(secretKey),
        tokens: tokens === null ? undefined : new Secret(tokens),
        passphrase: passphrase === null ? undefined : new Secret(passphrase),
      })
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      const { kind: _ok, appPassword, ...result } = outcome
      return { ...result, appPassword: appPassword?.reveal() ?? null }
    },
  }
}

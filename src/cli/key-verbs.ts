import { Secret } from '../base/secret.ts'
import type { KeyAdministration } from '../bridge/key-administration.ts'
import { noSuchAccount } from './account-show.ts'
import { CliError } from './cli-error.ts'
import type { ControlVerbs } from './control-protocol.ts'
import { badArgs, fieldOf, isTextOrNull, isTruth, textFields } from './verb-args.ts'

/** `key rotate` as plain data, on its way through control.sock. */
export interface KeyRotateArgs {
  readonly account: string
  readonly isForced: boolean
}

export interface KeyRotateResult {
  readonly address: string
  readonly keyId: string
  readonly newSubkey: string
}

export interface KeyImportArgs {
  readonly account: string
  readonly text: string
  readonly passphrase: string | null
}

export interface KeyImportResult {
  readonly address: string
  readonly keyId: string
  readonly gained: readonly string[]
  readonly isNew: boolean
  readonly retried: number
}

/** The verbs that change keys; like `accountVerbs`, with and without a running bridge. */
export function keyVerbs(keys: KeyAdministration): ControlVerbs {
  return {
    'key rotate': async (args): Promise<KeyRotateResult> => {
      const { account } = textFields('key rotate', args, ['account'])
      const isForced = fieldOf(args, 'isForced')
      if (!isTruth(isForced)) throw badArgs('key rotate')
      const outcome = await keys.rotate({ account, isForced })
      if (outcome.kind === 'no-such-account') throw noSuchAccount(account)
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      const { address, keyId, newSubkey } = outcome
      return { address, keyId, newSubkey }
    },
    'key import': async (args): Promise<KeyImportResult> => {
      const { account, text } = textFields('key import', args, ['account', 'text'])
      const passphrase = fieldOf(args, 'passphrase')
      if (!isTextOrNull(passphrase)) throw badArgs('key import')
      const outcome = await keys.importKey({
        account,
        text: new Secret(text),
        passphrase: passphrase === null ? undefined : new Secret(passphrase),
      })
      if (outcome.kind === 'no-such-account') throw noSuchAccount(account)
      if (outcome.kind === 'refused') throw new CliError(outcome.reason)
      const { kind: _ok, ...result } = outcome
      return result
    },
  }
}

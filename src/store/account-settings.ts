import type { Secret } from '../base/secret.ts'
import type { AccountChange, AccountChangeOutcome } from './account-network-operations.ts'
import type { SealedValue } from './account-operations.ts'
import { type AccountId, ROW_ID_BYTES } from './ids.ts'
import type { Store } from './open-store.ts'
import { seal } from './vault.ts'

/** Like AccountChange, with the auth keys in clear; null: none. */
export interface AccountSettings extends Omit<AccountChange, 'authKey' | 'oldAuthKey' | 'publishAuthKey'> {
  readonly authKey?: Secret<string> | null | undefined
  readonly oldAuthKey?: Secret<string> | null | undefined
  readonly publishAuthKey?: Secret<string> | null | undefined
}

/** Changes settings of an account, all or none; auth keys are sealed on the way (design 5). */
export function changeAccount(
  store: Store,
  accountId: AccountId,
  options: {
    readonly settings: AccountSettings
    readonly randomBytes: (size: number) => Uint8Array
  },
): Promise<AccountChangeOutcome> {
  const { settings, randomBytes } = options
  const sealed = (secret: Secret<string> | null | undefined): SealedValue | null | undefined => {
    if (secret === null || secret === undefined) return secret
    const id = randomBytes(ROW_ID_BYTES)
    const context = { accountId, rowId: id, purpose: 'auth-key' } as const
    return { id, sealed: seal(context, Buffer.from(secret.reveal())) }
  }
  const change: AccountChange = {
    ...settings,
    authKey: sealed(settings.authKey),
    oldAuthKey: sealed(settings.oldAuthKey),
    publishAuthKey: sealed(settings.publishAuthKey),
  }
  return store.write('changeAccount', { accountId, change })
}

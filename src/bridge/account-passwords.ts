import { accountByLogin } from '../store/account-queries.ts'
import { addAppPassword } from '../store/accounts.ts'
import type {
  AddPasswordOutcome,
  BridgeOptions,
  NewPasswordRequest,
  RevokePasswordOutcome,
} from './bridge.ts'

type PasswordOptions = Pick<BridgeOptions, 'store' | 'randomBytes'>

/** A name is shown in lists and typed on a command line. */
const PASSWORD_NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,49}$/u

/** A further app password, one for each device, so that one can be revoked alone (design 5). */
export async function addPassword(
  { store, randomBytes }: PasswordOptions,
  { account: login, name, scopes }: NewPasswordRequest,
): Promise<AddPasswordOutcome> {
  const account = accountByLogin(store.read, login)
  if (account === undefined) return { kind: 'no-such-account' }
  if (!PASSWORD_NAME.test(name)) {
    const reason = `${JSON.stringify(name)} cannot name a password: letters, digits, blanks and . _ -, at most 50`
    return { kind: 'refused', reason }
  }
  const appPassword = await addAppPassword(store, { accountId: account.id, name, scopes, randomBytes })
  if (appPassword !== undefined) return { kind: 'ok', appPassword }
  const reason = `there is a password of the name ${name}: revoke it first, or give another name`
  return { kind: 'refused', reason }
}

/** Whoever uses it is refused from the next login on. */
export async function revokePassword(
  { store }: PasswordOptions,
  login: string,
  name: string,
): Promise<RevokePasswordOutcome> {
  const account = accountByLogin(store.read, login)
  if (account === undefined) return { kind: 'no-such-account' }
  const isRevoked = await store.write('revokeAppPassword', { accountId: account.id, name })
  return { kind: isRevoked ? 'ok' : 'no-such-password' }
}

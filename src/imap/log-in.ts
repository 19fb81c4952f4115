import { Secret } from '../base/secret.ts'
import type { Context, Tagged } from './command.ts'

/** One pair of credentials as LOGIN or AUTHENTICATE gave it. */
export interface Credentials {
  readonly authcid: string
  readonly authzid: string
  readonly password: string
}

/** The refusal of a password that would travel in clear (RFC 9051 6.2.3, design 6). */
export const CLEAR_LOGIN_REFUSED: Tagged = {
  status: 'NO',
  code: { kind: 'PRIVACYREQUIRED' },
  text: 'Start TLS first: passwords are not taken in clear',
}

/** A login that is told to be wrong without saying what (RFC 5530 3). */
export const LOGIN_REFUSED: Tagged = {
  status: 'NO',
  code: { kind: 'AUTHENTICATIONFAILED' },
  text: 'User name or password is wrong',
  refusedLogin: true,
}

/** Asks the Authenticator; the tagged reply carries the capabilities of the new state (case I21). */
export async function logIn(
  context: Context<'not-authenticated'>,
  { authcid, authzid, password }: Credentials,
): Promise<Tagged> {
  if (!context.connection.mayLogin) return CLEAR_LOGIN_REFUSED
  // RFC 4616 2: authcid and passwd have at least one octet.
  if (authcid === '' || password === '') return LOGIN_REFUSED
  const outcome = await context.authenticator.login({
    authcid,
    authzid,
    password: new Secret(password),
    protocol: 'imap',
    remoteAddress: context.connection.remoteAddress,
    secure: context.connection.isSecure,
  })
  switch (outcome.kind) {
    case 'ok':
      return {
        status: 'OK',
        code: { kind: 'CAPABILITY', names: context.capabilitiesIn('authenticated') },
        text: 'Logged in',
        state: { name: 'authenticated', account: outcome.account },
      }
    case 'refused':
      return LOGIN_REFUSED
    case 'throttled': {
      const seconds = Math.ceil(outcome.retryAfterMs / 1000)
      return {
        status: 'NO',
        code: { kind: 'UNAVAILABLE' },
        text: `Too many wrong logins; try again in ${seconds} s`,
        refusedLogin: true,
      }
    }
  }
}

import type { ServersRequest } from '../cm/client/with-servers.ts'
import { parseServerAddress } from '../cm/transport.ts'
import { type Account, type AuthKeyPlace, loadAuthKey } from '../store/account-queries.ts'
import { type CmContext, ownServersRequest } from './bridge-context.ts'

/** Where an account has something to do: its own servers, those it left, those its key is published at (CM wire 8.8). */
export type AccountPlace = AuthKeyPlace

/** Where mail lies; a key is published at `publish` too, and nothing comes there. */
export const MAIL_PLACES = ['own', 'old'] as const satisfies readonly AccountPlace[]
/** In the order in which a key is announced there. */
export const ANNOUNCE_PLACES = ['own', 'old', 'publish'] as const satisfies readonly AccountPlace[]

/** How `cmbridge account` is given the key of each place. */
export const AUTH_KEY_FLAGS: Readonly<Record<AccountPlace, string>> = {
  own: '--auth-key',
  old: '--old-auth-key',
  publish: '--publish-auth-key',
}

/**
 * A request to the servers of one place, logged in with the key for that place; undefined when the account has none
 * there, or no more (CM wire 8.6: `EndPollOldDate`).
 */
export function placeRequest(
  context: CmContext,
  account: Account,
  place: AccountPlace,
): ServersRequest | undefined {
  const servers = placeServers(account, place, context.clock.now())
    .map(parseServerAddress)
    .filter((server) => server !== undefined)
  if (servers.length === 0) return undefined
  const { login: _ownLogin, ...request } = ownServersRequest(context, account)
  const authKey = loadAuthKey(context.store.read, account.id, place)
  const isolation = place === 'own' ? request.isolation : `${account.id} at ${place} servers`
  return {
    ...request,
    servers,
    ...(isolation === undefined ? {} : { isolation }),
    ...(authKey === undefined ? {} : { login: { userId: account.keyId, authKey } }),
  }
}

/** HOST:PORT of a place at this time. */
function placeServers(account: Account, place: AccountPlace, nowMs: number): readonly string[] {
  const { old, publishServers } = account.network
  switch (place) {
    case 'own':
      return account.servers
    case 'old':
      return old === undefined || old.untilMs <= nowMs ? [] : old.servers
    case 'publish':
      return publishServers
  }
}

import { encodeAccountConfig } from '../cm/account-config.ts'
import { encodeBypassTokens } from '../cm/bypass-tokens-file.ts'
import { type Account, loadAuthKey } from '../store/account-queries.ts'
import { bypassSecrets } from '../store/bypass-queries.ts'
import type { ReadConnection } from '../store/read-connection.ts'

/** The files of an account directory of the reference client besides its keyring (CM message 10.3); both are secret. */
export interface AccountFiles {
  readonly 'config.txt': string
  readonly 'bypass_tokens.txt': string
}

/** What an account is here, in the reference client's form; `userId` is the one of its key that is shown. */
export function encodeAccountFiles(
  read: ReadConnection,
  { account, userId, nowMs }: { readonly account: Account; readonly userId: string; readonly nowMs: number },
): AccountFiles {
  const { id, keyId, servers, network } = account
  const { previous, old } = network
  const config = encodeAccountConfig({
    keyId,
    userId,
    costBits: network.costBits,
    mailboxCount: network.mailboxCount,
    previous: previous !== undefined && previous.untilMs > nowMs ? previous : undefined,
    servers,
    authKey: loadAuthKey(read, id),
    old:
      old !== undefined && old.untilMs > nowMs
        ? { ...old, authKey: loadAuthKey(read, id, 'old') }
        : undefined,
    publishServers: network.publishServers,
    publishAuthKey: loadAuthKey(read, id, 'publish'),
    usesBypassTokens: network.usesBypassTokens,
  })
  const tokens = (['issued', 'received'] as const).flatMap((direction) =>
    bypassSecrets(read, id, { direction }).map((secret) => ({ ...secret, direction })),
  )
  return { 'config.txt': config, 'bypass_tokens.txt': encodeBypassTokens(tokens) }
}

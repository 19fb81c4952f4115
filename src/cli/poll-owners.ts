import type { Bridge } from '../bridge/bridge.ts'
import type { Log } from '../bridge/log.ts'
import { polledMailboxes } from '../bridge/own-announcement.ts'
import { mailboxHash } from '../cm/ids.ts'
import type { StoredNotice } from '../cm/server/context.ts'
import { type Account, listAccounts } from '../store/account-queries.ts'
import type { Store } from '../store/open-store.ts'

/**
 * Our own CM server stored a block: the accounts it may be for look at once (design 8.1). A message announcement lies
 * under its owner's mailbox hash; an acknowledgment names nobody, so everybody looks.
 */
export function pollOwners(
  { bridge, store, log }: { readonly bridge: Bridge; readonly store: Store; readonly log: Log },
  { type, key }: StoredNotice,
): void {
  if (type !== 'message-announcement' && type !== 'acknowledgment') return
  // As at the beginning of time: one mailbox too many does no harm here.
  const isOwner = ({ keyId, network }: Account): boolean =>
    type === 'acknowledgment' ||
    polledMailboxes(network, 0).some((prefix) => mailboxHash(prefix, keyId) === key)
  for (const { address } of listAccounts(store.read).filter(isOwner)) {
    bridge.pollNow(address).catch((cause: unknown) => log.error({ cause }, 'looking for mail failed'))
  }
}

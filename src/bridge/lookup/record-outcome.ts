import { lowerCaseAddress } from '../../mail/address.ts'
import type { AccountId } from '../../store/ids.ts'
import type { Store } from '../../store/open-store.ts'
import type { LookupOutcome } from '../key-lookup.ts'

/**
 * Keeps what a look-up of an address found: keys also when a source was silent, that the address was looked up only when
 * all of them answered.
 */
export async function recordOutcome(
  store: Pick<Store, 'write'>,
  looked: { readonly accountId: AccountId; readonly address: string; readonly outcome: LookupOutcome },
): Promise<void> {
  const { accountId, outcome } = looked
  const { found, dropped } = outcome
  const isComplete = outcome.kind === 'answered'
  const contacts = isComplete ? dropped : [...found, ...dropped]
  if (contacts.length > 0) await store.write('recordContacts', { accountId, contacts })
  if (!isComplete) return
  await store.write('recordLookup', { accountId, address: lowerCaseAddress(looked.address), found })
}

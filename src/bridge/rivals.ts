import { duration } from '../base/clock.ts'
import { MAX_USER_IDS } from '../cm/certificate.ts'
import type { KeyId } from '../cm/ids.ts'
import type { Account } from '../store/account-queries.ts'
import { addressesOfKey, contactByKeyId, type StoredContact } from '../store/contact-queries.ts'
import type { BridgeContext } from './bridge-context.ts'
import { draftNotice, type NoticeContext } from './inbound-notices.ts'
import type { LookupOutcome, UnusableKey } from './key-lookup.ts'
import { recordOutcome } from './lookup/record-outcome.ts'
import type { Notice, NoticedKey } from './reports/notices.ts'
import { timed } from './timed.ts'
import { contactsOf } from './trust.ts'

/** Fetches contacts again, and tells the owner who else claims their addresses or the owner's own (design 9). */

export type RivalContext = NoticeContext &
  Pick<BridgeContext, 'lookup'> & {
    /** Ends look-ups early, as unreachable. */
    readonly ended?: AbortSignal
  }

/** Milliseconds for all sources of one address; nobody waits. */
const LOOKUP_TIME_MS = 30 * duration.second

/** What came of fetching a contact again. */
export type Refreshed =
  /** `problem`: the key as it is announced now cannot be used. */
  | { readonly kind: 'answered'; readonly isFound: boolean; readonly problem: UnusableKey | undefined }
  | { readonly kind: 'unreachable'; readonly reason: string }

/** Fetches one contact's key again, by its addresses, so that rivals are seen; a new one is told once. */
export async function refreshContact(
  context: RivalContext,
  account: Account,
  { keyId, trust }: Pick<StoredContact, 'keyId' | 'trust'>,
): Promise<Refreshed> {
  const { store, lookup } = context
  const addresses = (addressesOfKey(store.read, account.id, keyId) ?? []).slice(0, MAX_USER_IDS)
  const outcomes: LookupOutcome[] = []
  for (const address of addresses) {
    const outcome = await within(context, (signal) => lookup.byAddress(account.id, address, { signal }))
    await recordOutcome(store, { accountId: account.id, address, outcome })
    outcomes.push(outcome)
    if (trust !== 'new' && trust !== 'blocked') await tellRivalsOf(context, account, { keyId, address })
  }
  if (addresses.length === 0) outcomes.push(await refreshKey(context, account, keyId))
  return summary(keyId, outcomes)
}

/** A key without an address is no one's rival. */
async function refreshKey(context: RivalContext, account: Account, keyId: KeyId): Promise<LookupOutcome> {
  const { store, lookup } = context
  const outcome = await within(context, (signal) => lookup.byKeyId(account.id, keyId, { hints: [], signal }))
  await store.write('recordContacts', { accountId: account.id, contacts: outcome.found })
  return outcome
}

function within<T>({ clock, ended }: RivalContext, find: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return timed(clock, LOOKUP_TIME_MS, (signal) =>
    find(ended === undefined ? signal : AbortSignal.any([signal, ended])),
  )
}

function summary(keyId: KeyId, outcomes: readonly LookupOutcome[]): Refreshed {
  const problem = outcomes.flatMap(({ unusable }) => unusable).find((key) => key.keyId === keyId)
  const isFound = outcomes.some(({ found, dropped }) =>
    [...found, ...dropped].some((contact) => contact.keyId === keyId),
  )
  const silent = outcomes.find((outcome) => outcome.kind === 'unreachable')
  if (!isFound && problem === undefined && silent?.kind === 'unreachable') {
    return { kind: 'unreachable', reason: silent.reason }
  }
  return { kind: 'answered', isFound, problem }
}

/** Keys nobody used here before that claim an address of a contact. */
async function tellRivalsOf(
  context: RivalContext,
  account: Account,
  { keyId, address }: { readonly keyId: KeyId; readonly address: string },
): Promise<void> {
  const contacts = contactsOf(context.store.read, account.id, address)
  const known = contacts.find((contact) => contact.keyId === keyId)
  if (known === undefined) return
  for (const rival of contacts.filter(({ trust }) => trust === 'new')) {
    const notice: Notice = {
      kind: 'new-key-for-contact',
      address,
      known: noticed(known),
      found: { ...noticed(rival), firstSeenMs: null },
    }
    await tell(context, account, { notice, keys: [keyId, rival.keyId] })
  }
}

/** Looks up the account's own address; whoever else claims it is told to its owner, once for each key. */
export async function tellOwnRivals(context: RivalContext, account: Account): Promise<void> {
  const { store, lookup } = context
  const outcome = await within(context, (signal) => lookup.byAddress(account.id, account.address, { signal }))
  const rivals = outcome.found.filter(({ keyId }) => keyId !== account.keyId)
  if (rivals.length === 0) return
  // Kept, so that the owner can block them and mail of theirs is told apart.
  await store.write('recordContacts', { accountId: account.id, contacts: rivals })
  for (const { keyId, userId } of rivals) {
    if (contactByKeyId(store.read, account.id, keyId)?.trust === 'blocked') continue
    const rival = { keyId, userId, firstSeenMs: null }
    const notice: Notice = { kind: 'rival-of-own-address', address: account.address, rival }
    await tell(context, account, { notice, keys: [account.keyId, keyId] })
  }
}

function noticed({ keyId, userId, firstSeenMs }: StoredContact): NoticedKey {
  return { keyId, userId, firstSeenMs }
}

/** The subject is the set of keys, as it is when mail brings the collision to light: told once either way. */
async function tell(
  context: RivalContext,
  account: Account,
  { notice, keys }: { readonly notice: Notice; readonly keys: readonly KeyId[] },
): Promise<void> {
  const subject = keys.toSorted().join(' ')
  await context.store.write('deliverNotice', {
    accountId: account.id,
    notice: await draftNotice(context, account, { notice, subject }),
  })
}

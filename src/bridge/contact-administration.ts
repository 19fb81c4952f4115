import { duration } from '../base/clock.ts'
import { isAddress } from '../cm/address.ts'
import type { KeyId } from '../cm/ids.ts'
import { parseServerAddress, type ServerAddress } from '../cm/transport.ts'
import { type Account, accountByLogin, listAccounts } from '../store/account-queries.ts'
import type { StoredTrust } from '../store/contact-operations.ts'
import { contactByKeyId, type StoredContact } from '../store/contact-queries.ts'
import { recordOutcome } from './lookup/record-outcome.ts'
import { type ContactView, findContacts, parseFingerprint, viewContact } from './read-contacts.ts'
import { type RivalContext, refreshContact } from './rivals.ts'
import { timed } from './timed.ts'
import { contactsOf } from './trust.ts'

/** The verbs about other people's keys; the same functions with and without a running bridge. */
export interface ContactAdministration {
  /** The owner compared the fingerprint, or will have nothing to do with the key, or takes that back (design 9). */
  decide(request: ContactDecision): Promise<ContactOutcome>
  /** Fetches the key again and looks for rivals. */
  refresh(request: ContactRequest): Promise<RefreshOutcome>
  /** Asks every source for an address; what is found becomes a contact. */
  lookUp(request: ContactLookupRequest): Promise<ContactLookupOutcome>
}

export interface ContactRequest {
  /** Address or short name; null when there is only one account. */
  readonly account: string | null
  /** A fingerprint, blanks and colons allowed, or an address. */
  readonly contact: string
}

export interface ContactDecision extends ContactRequest {
  readonly verdict: 'verify' | 'block' | 'unblock'
}

export interface ContactLookupRequest {
  readonly account: string | null
  readonly address: string
  /** `host:port` to ask beside the sources of the settings. */
  readonly servers: readonly string[]
}

/** `reason` is for the user: what is wrong and what to do. */
type Refused = { readonly kind: 'refused'; readonly reason: string }

export type ContactOutcome = { readonly kind: 'ok'; readonly contact: ContactView } | Refused

export type RefreshOutcome =
  | {
      readonly kind: 'ok'
      readonly contacts: readonly ContactView[]
      /** What went wrong with some of them, a line each. */
      readonly problems: readonly string[]
    }
  | Refused

export type ContactLookupOutcome =
  | {
      readonly kind: 'ok'
      readonly found: readonly ContactView[]
      /** Keys that claim the address and cannot be used, a line each. */
      readonly unusable: readonly string[]
      /** Sources that gave no answer; null when all did. */
      readonly unreachable: string | null
    }
  | Refused

/** One look-up of a verb; a whole control connection may be silent for two minutes. */
const LOOKUP_TIME_MS = 30 * duration.second
/** Contacts of one address that are fetched again by one verb: each may take that long. */
const MAX_REFRESHED = 3

export function createContactAdministration(context: RivalContext): ContactAdministration {
  return {
    async decide(request) {
      const account = accountFor(context, request.account)
      return 'kind' in account ? account : decide(context, account, request)
    },
    async refresh(request) {
      const account = accountFor(context, request.account)
      return 'kind' in account ? account : refresh(context, account, request.contact)
    },
    async lookUp(request) {
      const account = accountFor(context, request.account)
      return 'kind' in account ? account : lookUp(context, account, request)
    },
  }
}

function refused(reason: string): Refused {
  return { kind: 'refused', reason }
}

/** The account that is meant; verbs that read use it too. */
export function accountFor(
  { store }: { readonly store: Pick<RivalContext['store'], 'read'> },
  given: string | null,
): Account | Refused {
  const accounts = listAccounts(store.read)
  if (given !== null) {
    const account = accountByLogin(store.read, given)
    return account ?? refused(`no account ${given} here; "cmbridge account list" shows those there are`)
  }
  const [only, ...others] = accounts
  if (only === undefined) return refused('no account here; "cmbridge account add ADDRESS" makes one')
  if (others.length === 0) return only
  return refused(
    `whose contact? Say --account with one of: ${accounts.map(({ address }) => address).join(', ')}`,
  )
}

async function decide(
  context: RivalContext,
  account: Account,
  { contact: text, verdict }: ContactDecision,
): Promise<ContactOutcome> {
  const { store } = context
  const contact = decidedContact(context, account, { text, verdict })
  if ('kind' in contact) return contact
  const { keyId } = contact
  await store.write('setContactTrust', { accountId: account.id, keyId, trust: TRUST_AFTER[verdict] })
  const decided = contactByKeyId(store.read, account.id, keyId)
  if (decided === undefined) return refused(`the key ${keyId} is no contact any more`)
  return { kind: 'ok', contact: viewContact(store.read, account, decided) }
}

/** What was verified before it was blocked is to be compared again. */
const TRUST_AFTER: Readonly<Record<ContactDecision['verdict'], StoredTrust>> = {
  verify: 'verified',
  block: 'blocked',
  unblock: 'known',
}

function decidedContact(
  { store }: RivalContext,
  account: Account,
  { text, verdict }: { readonly text: string; readonly verdict: ContactDecision['verdict'] },
): StoredContact | Refused {
  const found = findContacts(store.read, account, text)
  const [contact, other] = found
  const keys = found.map(({ keyId }) => keyId).join(', ')
  if (contact === undefined) return refused(notAContact(text))
  if (verdict === 'verify' && parseFingerprint(text) === undefined) {
    return refused(
      `to verify is to say that you compared the fingerprint: give it in full. Keys of ${text}: ${keys}`,
    )
  }
  if (other !== undefined) return refused(`${text} has ${found.length} keys, name one of them: ${keys}`)
  if (verdict === 'unblock' && contact.trust !== 'blocked') {
    return refused(`the key ${contact.keyId} is not blocked`)
  }
  if (verdict === 'verify' && contact.trust === 'blocked') {
    return refused(`you blocked the key ${contact.keyId}: unblock it before you verify it`)
  }
  return contact
}

/** Characters of what was typed that are repeated; an address and a fingerprint fit. */
const MAX_SHOWN = 100

function notAContact(text: string): string {
  if (parseFingerprint(text) !== undefined) {
    return `the key ${text} is no contact yet; "cmbridge contact lookup ADDRESS" finds keys`
  }
  const shown = JSON.stringify(text.slice(0, MAX_SHOWN))
  return text.includes('@')
    ? `${shown} is no contact yet; "cmbridge contact lookup ADDRESS" finds keys`
    : `${shown} is no fingerprint: give all 40 digits; "cmbridge contact list" shows them`
}

async function refresh(context: RivalContext, account: Account, text: string): Promise<RefreshOutcome> {
  const { store } = context
  const contacts = findContacts(store.read, account, text).slice(0, MAX_REFRESHED)
  if (contacts.length === 0) return refused(notAContact(text))
  const problems: string[] = []
  for (const contact of contacts) {
    const refreshed = await refreshContact(context, account, contact)
    if (refreshed.kind === 'unreachable') problems.push(`${contact.keyId}: ${refreshed.reason}`)
    else if (refreshed.problem !== undefined) problems.push(refreshed.problem.reason)
    else if (!refreshed.isFound) problems.push(`the key ${contact.keyId} is announced nowhere we know of`)
  }
  return {
    kind: 'ok',
    contacts: viewsOf(
      context,
      account,
      contacts.map(({ keyId }) => keyId),
    ),
    problems,
  }
}

function viewsOf({ store }: RivalContext, account: Account, keyIds: readonly KeyId[]): ContactView[] {
  return keyIds
    .map((keyId) => contactByKeyId(store.read, account.id, keyId))
    .filter((contact) => contact !== undefined)
    .map((contact) => viewContact(store.read, account, contact))
}

async function lookUp(
  context: RivalContext,
  account: Account,
  { address, servers }: ContactLookupRequest,
): Promise<ContactLookupOutcome> {
  if (!isAddress(address))
    return refused(`${JSON.stringify(address)} is no address: give one like bob@example.net`)
  const named: ServerAddress[] = []
  for (const text of servers) {
    const server = parseServerAddress(text)
    if (server === undefined) {
      return refused(`${JSON.stringify(text)} is no server: give HOST:PORT, like cm.example.org:8081`)
    }
    named.push(server)
  }
  const { store, clock, lookup } = context
  const outcome = await timed(clock, LOOKUP_TIME_MS, (signal) =>
    lookup.byAddress(account.id, address, { signal, servers: named }),
  )
  await recordOutcome(store, { accountId: account.id, address, outcome })
  const keyIds = contactsOf(store.read, account.id, address).map(({ keyId }) => keyId)
  return {
    kind: 'ok',
    found: viewsOf(context, account, keyIds),
    unusable: outcome.unusable.map(({ reason }) => reason),
    unreachable: outcome.kind === 'unreachable' ? outcome.reason : null,
  }
}

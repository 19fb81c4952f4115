import { addressOfUserId } from '../cm/address.ts'
import type { KeyId } from '../cm/ids.ts'
import { addressSpellings, isSameAddress } from '../mail/address.ts'
import type { StoredTrust } from '../store/contact-operations.ts'
import { contactsByAddress, type StoredContact } from '../store/contact-queries.ts'
import type { AccountId } from '../store/ids.ts'
import type { ReadConnection } from '../store/read-connection.ts'

/** Which key an address means for one account, and whether that can be said at all (design 9). */

export type AddressBinding =
  | { readonly kind: 'none' }
  | { readonly kind: 'one'; readonly contact: StoredContact }
  /** Two or more unblocked keys, none of them alone verified: nobody chooses for the owner. */
  | { readonly kind: 'collision'; readonly keyIds: readonly KeyId[] }
  /** Only keys the owner blocked. */
  | { readonly kind: 'blocked'; readonly keyIds: readonly KeyId[] }

/** The contacts of an address in all its spellings, each key once. */
export function contactsOf(read: ReadConnection, accountId: AccountId, address: string): StoredContact[] {
  const found = addressSpellings(address).flatMap((spelling) => contactsByAddress(read, accountId, spelling))
  return [...new Map(found.map((contact) => [contact.keyId, contact])).values()]
}

/** What an address is bound to. A single verified key wins over unverified rivals: the owner has compared it. */
export function bindAddress(contacts: readonly StoredContact[]): AddressBinding {
  const [first, second] = contacts
  if (first === undefined) return { kind: 'none' }
  const usable = contacts.filter(({ trust }) => trust !== 'blocked')
  const verified = usable.filter(({ trust }) => trust === 'verified')
  const [only] = verified.length === 1 ? verified : usable
  if (only === undefined) return { kind: 'blocked', keyIds: contacts.map(({ keyId }) => keyId) }
  if (second === undefined || usable.length === 1 || verified.length === 1)
    return { kind: 'one', contact: only }
  return { kind: 'collision', keyIds: usable.map(({ keyId }) => keyId) }
}

/**
 * How far a key is trusted by itself. A domain vouches for one address: the word is `domain` only when that is the
 * address which is shown, so that nobody borrows it for another name; the owner's own words and `signed` outrank it.
 */
export function ownTrust(
  stored: StoredTrust | undefined,
  { userId, vouchedAddresses }: { readonly userId: string; readonly vouchedAddresses: readonly string[] },
): StoredTrust | undefined {
  if (stored !== undefined && stored !== 'new' && stored !== 'known') return stored
  const shown = addressOfUserId(userId)
  const isVouched =
    shown.kind === 'address' && vouchedAddresses.some((one) => isSameAddress(one, shown.address))
  return isVouched ? 'domain' : stored
}

/** The word of X-CM-Trust: a collision outranks all but what the owner verified or blocked. */
export function trustWord(stored: StoredTrust | undefined, hasRivals: boolean): StoredTrust | 'collision' {
  if (stored === 'blocked' || stored === 'verified') return stored
  if (hasRivals) return 'collision'
  return stored ?? 'new'
}

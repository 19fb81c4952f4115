import { type KeyId, parseKeyId } from '../cm/ids.ts'
import { isSameAddress } from '../mail/address.ts'
import type { Account } from '../store/account-queries.ts'
import {
  addressesOfKey,
  contactByKeyId,
  listContacts,
  type StoredContact,
  vouchedAddresses,
} from '../store/contact-queries.ts'
import type { ReadConnection } from '../store/read-connection.ts'
import { contactsOf, ownTrust, trustWord } from './trust.ts'

/** Contacts as their owner sees them: plain data, no secret in it. */
export interface ContactView {
  readonly keyId: KeyId
  readonly userId: string
  /** Lower case; `vouchedMs`: when its domain last vouched for the key. */
  readonly addresses: readonly { readonly address: string; readonly vouchedMs: number | null }[]
  /** As X-CM-Trust says it of new mail. */
  readonly trust: ReturnType<typeof trustWord>
  /** Every other unblocked key that claims an address of this one, the account's own included. */
  readonly rivals: readonly {
    readonly address: string
    readonly keyId: KeyId
    readonly userId: string
    /** It is the account's own key. */
    readonly isOwn: boolean
    /** Its owner compared the fingerprint: mail to the plain address goes to it (`bindAddress`). */
    readonly isVerified: boolean
  }[]
  readonly firstSeenMs: number
  readonly fetchedMs: number
  readonly announcedMs: number
  readonly expiresMs: number | null
}

/** Every contact of an account. */
export function readContacts(read: ReadConnection, account: Account): ContactView[] {
  return listContacts(read, account.id).map((contact) => viewContact(read, account, contact))
}

/** One contact with its rivals of now. */
export function viewContact(read: ReadConnection, account: Account, contact: StoredContact): ContactView {
  const { keyId, userId, firstSeenMs, fetchedMs, announcedMs, expiresMs } = contact
  const vouched = vouchedAddresses(read, account.id, keyId)
  const addresses = (addressesOfKey(read, account.id, keyId) ?? []).map((address) => ({
    address,
    vouchedMs: vouched.find((one) => one.address === address)?.vouchedMs ?? null,
  }))
  const rivals = addresses.flatMap(({ address }) => rivalsOf(read, account, { keyId, address }))
  const vouchedFor = { userId, vouchedAddresses: vouched.map(({ address }) => address) }
  const trust = trustWord(ownTrust(contact.trust, vouchedFor), rivals.length > 0)
  return { keyId, userId, addresses, trust, rivals, firstSeenMs, fetchedMs, announcedMs, expiresMs }
}

function rivalsOf(
  read: ReadConnection,
  account: Account,
  { keyId, address }: { readonly keyId: KeyId; readonly address: string },
): ContactView['rivals'] {
  const others = contactsOf(read, account.id, address)
    .filter((other) => other.keyId !== keyId && other.trust !== 'blocked')
    .map(({ keyId: otherId, userId, trust }) => {
      return { address, keyId: otherId, userId, isOwn: false, isVerified: trust === 'verified' }
    })
  const isOwn = isSameAddress(address, account.address) && keyId !== account.keyId
  if (!isOwn) return others
  return [...others, { address, keyId: account.keyId, userId: 'your own key', isOwn, isVerified: false }]
}

/** A fingerprint as people write it: 40 hex digits, with blanks and colons between them. */
export function parseFingerprint(text: string): KeyId | undefined {
  return parseKeyId(text.replace(/^0x/i, '').replace(/[\s:]/g, ''))
}

/** The contact with the fingerprint, or every contact that carries the address; oldest first. */
export function findContacts(read: ReadConnection, account: Account, text: string): StoredContact[] {
  const keyId = parseFingerprint(text)
  if (keyId === undefined) return contactsOf(read, account.id, text.trim())
  const contact = contactByKeyId(read, account.id, keyId)
  return contact === undefined ? [] : [contact]
}

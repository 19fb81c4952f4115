import type { ContactView } from '../bridge/read-contacts.ts'
import { groupsOfFour } from './key-show.ts'

/** Contacts for people: fingerprints in groups, what the trust means, and what to do about it. */

const TRUST_WORDS: Readonly<Record<ContactView['trust'], string>> = {
  verified: 'you compared the fingerprint',
  signed: 'certified by a key you verified',
  domain: 'its domain vouches for it; nobody compared the fingerprint',
  known: 'used before and unchanged since; nobody compared the fingerprint',
  new: 'seen, and never written to',
  collision: 'ANOTHER KEY CLAIMS THE SAME ADDRESS',
  blocked: 'you blocked it: its mail goes to Junk, and nothing is sent to it',
}

/** One line of `contact list`. */
export function contactLine(contact: ContactView): string {
  return `${contact.trust.padEnd(9)}  ${contact.keyId}  ${printable(contact.userId)}`
}

/** All of one contact. */
export function contactLines(contact: ContactView): string[] {
  const { keyId, userId, addresses, trust, firstSeenMs, fetchedMs, announcedMs, expiresMs } = contact
  return [
    `contact     ${printable(userId)}`,
    `fingerprint ${groupsOfFour(keyId)}`,
    `            ${keyId}`,
    ...addresses.map(({ address, vouchedMs }, index) => {
      const vouched = vouchedMs === null ? '' : `   (its domain vouched for this key on ${dayOf(vouchedMs)})`
      return `${(index === 0 ? 'addresses' : '').padEnd(12)}${printable(address)}${vouched}`
    }),
    `trust       ${trust}: ${TRUST_WORDS[trust]}`,
    `first seen  ${dayOf(firstSeenMs)}, announced ${dayOf(announcedMs)}, fetched ${dayOf(fetchedMs)}`,
    `ends        ${expiresMs === null ? 'never' : dayOf(expiresMs)}`,
    ...rivalLines(contact),
    ...adviceLines(contact),
  ]
}

function rivalLines({ rivals }: ContactView): string[] {
  return rivals.flatMap(({ address, keyId, userId }) => [
    `collision   ${printable(address)} is claimed by another key too:`,
    `            ${groupsOfFour(keyId)}   ${printable(userId)}`,
  ])
}

function adviceLines({ trust, keyId, rivals }: ContactView): string[] {
  const compare =
    'what to do  ask the person, not by mail, for their fingerprint, and compare all of it; if it is this one:'
  const verify = `            cmbridge contact verify ${keyId}`
  switch (trust) {
    case 'collision':
      return [
        compare,
        verify,
        ...blockLines(rivals),
        `            ${plainAddressWords(rivals)}; "Name ${keyId}" <ADDRESS> reaches this key`,
      ]
    case 'blocked':
      return [`what to do  nothing; to take it back: cmbridge contact unblock ${keyId}`]
    case 'verified':
      return []
    default:
      return [compare, verify]
  }
}

function plainAddressWords(rivals: ContactView['rivals']): string {
  return rivals.some(({ isVerified }) => isVerified)
    ? 'mail to the plain address goes to the other key, which you verified'
    : 'until then mail to the plain address is refused'
}

/** The account's own key is a rival like any other, and nothing to block; one that was compared is not wrong. */
function blockLines(rivals: ContactView['rivals']): string[] {
  const strangers = rivals.filter(({ isOwn, isVerified }) => !isOwn && !isVerified).map(({ keyId }) => keyId)
  if (strangers.length === 0) return []
  return [
    '            or, if another is wrong:',
    ...strangers.map((keyId) => `            cmbridge contact block ${keyId}`),
  ]
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

/** User ids are other people's words: nothing in them may steer a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?')
}

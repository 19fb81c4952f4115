import type { KeyId } from '../../cm/ids.ts'
import { encodeServerAddress, type ServerAddress } from '../../cm/transport.ts'
import { isSameAddress } from '../../mail/address.ts'
import type { ContactRecord } from '../../store/contact-operations.ts'
import type { UnusableKey } from '../key-lookup.ts'
import type { Finding } from './ask-for-keys.ts'
import { domainServerName } from './domain-servers.ts'
import type { AnnouncedKey } from './read-announced-key.ts'

/** What all sources together say, one word for each key. */

export interface Merged {
  readonly found: ContactRecord[]
  readonly unusable: UnusableKey[]
  readonly dropped: ContactRecord[]
}

export interface DomainWord {
  readonly domain: string
  /** The servers of the domain's TXT record. */
  readonly servers: readonly ServerAddress[]
}

/**
 * A revocation counts wherever it was seen, since only the owner can have made it; else the newest announcement of a
 * key counts, so that a key that was renewed at one server works although another still shows the old one (case K05).
 */
export function mergeFindings(
  findings: readonly Finding[],
  asked: { readonly address: string | undefined; readonly domain: DomainWord | undefined },
): Merged {
  const merged: Merged = { found: [], unusable: [], dropped: [] }
  for (const [keyId, ofKey] of Map.groupBy(findings, ({ key }) => keyIdOf(key))) {
    const { key } = ofKey.reduce((best, other) => (outranks(other.key, best.key) ? other : best))
    if (key.kind === 'unusable') {
      merged.unusable.push(key.unusable)
      continue
    }
    const carried = key.contact.addresses.filter((one) => isSameAddress(one, asked.address ?? one))
    if (carried.length === 0) merged.dropped.push(key.contact)
    else merged.found.push(vouched(key.contact, carried, isVouched(ofKey, keyId, asked)))
  }
  return merged
}

function keyIdOf(key: AnnouncedKey): KeyId {
  return key.kind === 'usable' ? key.contact.keyId : key.unusable.keyId
}

function outranks(one: AnnouncedKey, other: AnnouncedKey): boolean {
  const [isOne, isOther] = [isRevoked(one), isRevoked(other)]
  if (isOne !== isOther) return isOne
  const [oneMs, otherMs] = [announcedMs(one), announcedMs(other)]
  return oneMs === otherMs ? one.kind === 'usable' && other.kind === 'unusable' : oneMs > otherMs
}

function isRevoked(key: AnnouncedKey): boolean {
  return key.kind === 'unusable' && key.unusable.revokedCertificate !== undefined
}

function announcedMs(key: AnnouncedKey): number {
  return key.kind === 'usable' ? key.contact.announcedMs : key.announcedMs
}

/**
 * The domain vouches for a key that came from a server of its TXT record whose certificate is valid for
 * `cmsvr.<domain>` under public authorities (design 9); for this address of the key and for no other.
 */
function isVouched(
  findings: readonly Finding[],
  keyId: KeyId,
  { domain }: { readonly domain: DomainWord | undefined },
): boolean {
  if (domain === undefined) return false
  const listed = new Set(domain.servers.map(encodeServerAddress))
  return findings.some(
    ({ hostPort, isTrustedFor, key }) =>
      key.kind === 'usable' &&
      key.contact.keyId === keyId &&
      listed.has(hostPort) &&
      isTrustedFor(domainServerName(domain.domain)),
  )
}

function vouched(contact: ContactRecord, carried: readonly string[], isVouchedFor: boolean): ContactRecord {
  return isVouchedFor ? { ...contact, vouchedAddresses: carried } : contact
}

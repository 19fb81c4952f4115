import { type KeyId, parseKeyId } from '../cm/ids.ts'
import { isSameAddress } from '../mail/address.ts'

/**
 * Pinned recipients (design 7.3): which key the sender means, said in the address itself or in the display name
 * of a header field. A pin beats everything; two pins that disagree refuse the message.
 */

/** Domain of addresses that are only a key: `<40hex>@cm.invalid` (reserved by RFC 2606, so it can never be mail). */
export const KEY_ADDRESS_DOMAIN = 'cm.invalid'

/** RFC 5321 4.5.3.1.3: a path is at most 256 octets. */
const MAX_ADDRESS_BYTES = 254

export type RecipientAddress =
  /** An ordinary address; `pin` when its local part carries `+cm-<40hex>`, which is cut off. */
  | { readonly kind: 'address'; readonly address: string; readonly pin: KeyId | null }
  /** `<40hex>@cm.invalid`: the key alone. */
  | { readonly kind: 'key'; readonly pin: KeyId }
  /** Nothing CM could ever deliver to: no domain, an address literal, too long (550 5.1.2). */
  | { readonly kind: 'unreachable'; readonly reason: string }

const PINNED_LOCAL_PART = /^(.+)\+cm-([0-9a-fA-F]{40})$/
const PLAIN_DOMAIN = /^[^\s@[\]<>(),;:\\"]+\.[^\s@[\]<>(),;:\\"]+$/u

/** What the address of a RCPT TO or of a header field means to us; the text is without `<>`. */
export function parseRecipientAddress(text: string): RecipientAddress {
  const at = text.lastIndexOf('@')
  const localPart = text.slice(0, Math.max(at, 0))
  const domain = text.slice(at + 1).replace(/\.$/, '')
  if (at < 1 || domain === '') return { kind: 'unreachable', reason: 'it has no domain' }
  if (Buffer.byteLength(text) > MAX_ADDRESS_BYTES) return { kind: 'unreachable', reason: 'it is too long' }
  if (domain.toLowerCase() === KEY_ADDRESS_DOMAIN) {
    const pin = parseKeyId(localPart)
    return pin === undefined
      ? {
          kind: 'unreachable',
          reason: `an address at ${KEY_ADDRESS_DOMAIN} is a fingerprint of 40 hex digits`,
        }
      : { kind: 'key', pin }
  }
  if (!PLAIN_DOMAIN.test(domain)) return { kind: 'unreachable', reason: 'its domain is not a domain name' }
  const pinned = PINNED_LOCAL_PART.exec(localPart)
  if (pinned?.[1] !== undefined && pinned[2] !== undefined) {
    return { kind: 'address', address: `${pinned[1]}@${domain}`, pin: parseKeyId(pinned[2]) ?? null }
  }
  return { kind: 'address', address: `${localPart}@${domain}`, pin: null }
}

const FINGERPRINT_AT_END = /(?:^|[^0-9a-fA-F])([0-9a-fA-F]{40})$/

/** The pin a display name carries: a run of exactly 40 hex digits that ends it; null when there is none. */
export function pinOfDisplayName(displayName: string): KeyId | null {
  const match = FINGERPRINT_AT_END.exec(displayName.trimEnd())
  return match?.[1] === undefined ? null : (parseKeyId(match[1]) ?? null)
}

/** One mailbox of a To, Cc or Bcc field. */
export interface HeaderMailbox {
  readonly displayName: string
  readonly address: string
}

export type PinOutcome =
  | { readonly kind: 'pin'; readonly pin: KeyId | null }
  /** Two different keys named for one recipient (553 5.1.4). */
  | { readonly kind: 'conflict'; readonly pins: readonly [KeyId, KeyId] }

/** The one pin for a recipient of the envelope, from its own address form and every header mailbox with that address. */
export function pinFor(recipient: RecipientAddress, headerMailboxes: readonly HeaderMailbox[]): PinOutcome {
  const pins = new Set<KeyId>(recipient.kind === 'unreachable' ? [] : asList(recipient.pin))
  if (recipient.kind === 'address') {
    for (const mailbox of headerMailboxes) {
      for (const pin of pinsOfMailbox(mailbox, recipient.address)) pins.add(pin)
    }
  }
  const [first, second] = [...pins]
  if (first !== undefined && second !== undefined) return { kind: 'conflict', pins: [first, second] }
  return { kind: 'pin', pin: first ?? null }
}

function pinsOfMailbox(mailbox: HeaderMailbox, address: string): KeyId[] {
  const parsed = parseRecipientAddress(mailbox.address)
  if (parsed.kind !== 'address' || !isSameAddress(parsed.address, address)) return []
  return [...asList(parsed.pin), ...asList(pinOfDisplayName(mailbox.displayName))]
}

function asList<T>(value: T | null): T[] {
  return value === null ? [] : [value]
}

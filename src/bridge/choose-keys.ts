import type { KeyId } from '../cm/ids.ts'
import { isSameAddress } from '../mail/address.ts'
import type { SmtpReply } from '../smtp/port.ts'
import type { SubmittedRecipient } from '../store/submission-operations.ts'
import { type HeaderMailbox, pinFor } from './pins.ts'
import type { CheckedRecipient } from './recipient-check.ts'
import { replies } from './submission-replies.ts'

/** The address fields of the submitted header. */
export interface HeaderRecipients {
  readonly to: readonly HeaderMailbox[]
  readonly cc: readonly HeaderMailbox[]
}

export type KeyChoice =
  | { readonly kind: 'ok'; readonly recipients: readonly SubmittedRecipient[] }
  /** The whole message is refused; nothing is sent to anyone (design 7.4). */
  | { readonly kind: 'refused'; readonly reply: SmtpReply }

export interface ChoiceContext {
  readonly headers: HeaderRecipients
  /** Lower-case addresses a key carries, as far as it is known; undefined for a key nobody has seen. */
  readonly addressesOf: (keyId: KeyId) => readonly string[] | undefined
  /** The owner blocked the key: not even a pin sends to it (docs/decisions/0010). */
  readonly isBlocked: (keyId: KeyId) => boolean
}

/** Decides at the end of DATA which key each recipient of the envelope means (design 7.3, 7.4). */
export function chooseKeys(checked: readonly CheckedRecipient[], context: ChoiceContext): KeyChoice {
  const recipients = new Map<string, SubmittedRecipient>()
  for (const recipient of checked) {
    const chosen = chooseKey(recipient, context)
    if ('replyCode' in chosen) return { kind: 'refused', reply: chosen }
    // The same recipient twice in one envelope is one recipient (RFC 5321 leaves it to us; nobody wants it twice).
    const identity = chosen.pinned ? `${chosen.keyId}` : chosen.address.toLowerCase()
    if (!recipients.has(identity)) recipients.set(identity, chosen)
  }
  return { kind: 'ok', recipients: [...recipients.values()] }
}

/** Pins of the message that name a key nobody has seen here: looked up before the choice is made. */
export function unknownPins(checked: readonly CheckedRecipient[], context: ChoiceContext): readonly KeyId[] {
  const { to, cc } = context.headers
  const pins = checked.flatMap(({ address }) => {
    const outcome = pinFor(address, [...to, ...cc])
    return outcome.kind === 'pin' && outcome.pin !== null ? [outcome.pin] : []
  })
  return [...new Set(pins)].filter((pin) => context.addressesOf(pin) === undefined)
}

function chooseKey(recipient: CheckedRecipient, context: ChoiceContext): SubmittedRecipient | SmtpReply {
  const { address, candidates, command } = recipient
  const { to, cc } = context.headers
  const outcome = pinFor(address, [...to, ...cc])
  if (outcome.kind === 'conflict') return replies.pinConflict(command.address, outcome.pins)
  const { pin } = outcome
  if (pin !== null && context.isBlocked(pin)) return replies.pinBlocked(command.address, pin)
  if (pin !== null && address.kind === 'address' && !carries(context.addressesOf(pin), address.address)) {
    return replies.pinMisfit(command.address, pin)
  }
  if (pin === null && candidates.length > 1) return replies.collision(command.address, candidates)
  return {
    field: fieldOf(command.address, context.headers),
    address: address.kind === 'address' ? address.address : command.address,
    keyId: pin ?? candidates[0] ?? null,
    pinned: pin !== null,
    notify: command.notify,
    originalRecipient: command.originalRecipient,
  }
}

/** A key nobody has seen yet is judged when it is found. */
function carries(addresses: readonly string[] | undefined, address: string): boolean {
  return addresses === undefined || addresses.some((one) => isSameAddress(one, address))
}

/** The envelope decides who receives; the headers only say under which field (design 7.4). */
function fieldOf(address: string, { to, cc }: HeaderRecipients): 'to' | 'cc' | 'bcc' {
  if (to.some((mailbox) => isSameAddress(mailbox.address, address))) return 'to'
  return cc.some((mailbox) => isSameAddress(mailbox.address, address)) ? 'cc' : 'bcc'
}

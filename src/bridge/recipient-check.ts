import type { KeyId } from '../cm/ids.ts'
import { lowerCaseAddress } from '../mail/address.ts'
import type { RcptToCommand, SmtpReply } from '../smtp/port.ts'
import type { ContactRecord } from '../store/contact-operations.ts'
import { addressLookup, contactByKeyId, type StoredContact } from '../store/contact-queries.ts'
import type { AccountId } from '../store/ids.ts'
import type { ReadConnection } from '../store/read-connection.ts'
import { type KeyLookup, type LookupOutcome, RCPT_SOURCE_MS } from './key-lookup.ts'
import { parseRecipientAddress, type RecipientAddress } from './pins.ts'
import { replies } from './submission-replies.ts'
import { type AddressBinding, bindAddress, contactsOf } from './trust.ts'

/** A recipient that got its 250, and what was known of its key then. */
export interface CheckedRecipient {
  readonly command: RcptToCommand
  readonly address: Exclude<RecipientAddress, { readonly kind: 'unreachable' }>
  /** Unblocked keys that carry the address; more than one is decided at the end of DATA (design 7.4). */
  readonly candidates: readonly KeyId[]
  /** Keys found in this transaction; they enter the store with it. */
  readonly found: readonly ContactRecord[]
}

export type RecipientCheck =
  | { readonly kind: 'accepted'; readonly reply: SmtpReply; readonly recipient: CheckedRecipient }
  | { readonly kind: 'refused'; readonly reply: SmtpReply }

export interface RecipientCheckContext {
  readonly read: ReadConnection
  readonly accountId: AccountId
  readonly lookup: KeyLookup
  /** Ends the look-ups of the transaction when their time is up (design 7.2). */
  readonly signal: AbortSignal
  readonly nowMs: number
}

/** RCPT TO (design 7.2): a known contact at once, an unknown address after a look-up within the transaction's time. */
export async function checkRecipient(
  command: RcptToCommand,
  context: RecipientCheckContext,
): Promise<RecipientCheck> {
  const address = parseRecipientAddress(command.address)
  if (address.kind === 'unreachable') {
    return { kind: 'refused', reply: replies.unreachable(command.address, address.reason) }
  }
  if (address.pin !== null) return checkPinned({ command, address, pin: address.pin }, context)
  if (address.kind === 'key') throw new Error('a key address has a pin')
  const binding = bindAddress(contactsOf(context.read, context.accountId, address.address))
  if (binding.kind === 'none') return checkUnknown({ command, address }, context)
  if (binding.kind === 'one' && hasExpired(binding.contact, context.nowMs)) {
    return checkExpired({ command, address, contact: binding.contact }, context)
  }
  return fromBinding(binding, { command, address })
}

type Asked = Pick<CheckedRecipient, 'command' | 'address'>
type AskedAddress = Asked & { readonly address: { readonly kind: 'address'; readonly address: string } }

function accept(
  asked: Asked,
  candidates: readonly KeyId[],
  found: readonly ContactRecord[] = [],
): RecipientCheck {
  const reply =
    candidates.length === 0
      ? replies.recipientLater(asked.command.address)
      : replies.recipientOk(asked.command.address)
  return { kind: 'accepted', reply, recipient: { ...asked, candidates, found } }
}

function fromBinding(
  binding: Exclude<AddressBinding, { readonly kind: 'none' }>,
  asked: Asked,
): RecipientCheck {
  switch (binding.kind) {
    case 'one':
      return accept(asked, [binding.contact.keyId])
    case 'collision':
      return accept(asked, binding.keyIds)
    case 'blocked':
      return { kind: 'refused', reply: replies.blocked(asked.command.address) }
  }
}

async function checkPinned(
  asked: Asked & { readonly pin: KeyId },
  context: RecipientCheckContext,
): Promise<RecipientCheck> {
  const { read, accountId, lookup, signal } = context
  const known = contactByKeyId(read, accountId, asked.pin)
  if (known?.trust === 'blocked') {
    return { kind: 'refused', reply: replies.pinBlocked(asked.command.address, asked.pin) }
  }
  if (known !== undefined) return accept(asked, [asked.pin])
  return fromLookup(
    await lookup.byKeyId(accountId, asked.pin, { hints: [], signal, sourceMs: RCPT_SOURCE_MS }),
    asked,
    context,
  )
}

async function checkUnknown(asked: AskedAddress, context: RecipientCheckContext): Promise<RecipientCheck> {
  const { accountId, lookup, signal } = context
  return fromLookup(
    await lookup.byAddress(accountId, asked.address.address, { signal, sourceMs: RCPT_SOURCE_MS }),
    asked,
    context,
  )
}

function hasExpired({ expiresMs }: StoredContact, nowMs: number): boolean {
  return expiresMs !== null && expiresMs <= nowMs
}

/** The key we have has ended; its owner may have renewed it (case K05). */
async function checkExpired(
  asked: AskedAddress & { readonly contact: StoredContact },
  context: RecipientCheckContext,
): Promise<RecipientCheck> {
  const { contact, command, address } = asked
  const { accountId, lookup, signal } = context
  const outcome = await lookup.byAddress(accountId, address.address, { signal, sourceMs: RCPT_SOURCE_MS })
  const isRenewed = outcome.found.some(({ keyId }) => keyId === contact.keyId)
  // What the owner verified needs no second opinion; else a rival makes it a choice at the end of DATA.
  if (isRenewed && contact.trust === 'verified') return accept(asked, [contact.keyId], outcome.found)
  if (outcome.kind === 'answered' && outcome.found.length === 0 && outcome.unusable.length === 0) {
    const day = new Date(contact.expiresMs ?? 0).toISOString().slice(0, 10)
    const reason = `key expired on ${day}; ask the owner to renew it (key ${contact.keyId})`
    return { kind: 'refused', reply: replies.unusableKey(command.address, reason) }
  }
  return fromLookup(outcome, asked, context)
}

function fromLookup(outcome: LookupOutcome, asked: Asked, context: RecipientCheckContext): RecipientCheck {
  const ids = outcome.found.map(({ keyId }) => keyId)
  if (ids.length > 0) return accept(asked, ids, outcome.found)
  const { address } = asked.command
  // The true reason is worth more than waiting for a source that may know another key.
  const unusable = outcome.unusable.find(({ isKeysFault }) => isKeysFault) ?? outcome.unusable[0]
  if (outcome.kind === 'unreachable' && unusable?.isKeysFault !== true) return accept(asked, [])
  if (unusable !== undefined) return { kind: 'refused', reply: replies.unusableKey(address, unusable.reason) }
  return { kind: 'refused', reply: replies.noKey(address, lastFound(address, context)) }
}

function lastFound(address: string, { read, accountId }: RecipientCheckContext): string | null {
  const foundMs = addressLookup(read, accountId, lowerCaseAddress(address))?.foundMs ?? null
  return foundMs === null ? null : new Date(foundMs).toISOString().slice(0, 10)
}

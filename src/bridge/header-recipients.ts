import type { KeyId } from '../cm/ids.ts'
import { parseKeyAnnouncement } from '../cm/key-announcement.ts'
import type { DisplayRecipient } from '../cm/message/encode-message.ts'
import { encodeTransport } from '../cm/transport.ts'
import { isSameAddress, mailboxesNamed } from '../mail/address.ts'
import { splitHeader } from '../mail/header.ts'
import { contactByKeyId, type StoredContact } from '../store/contact-queries.ts'
import type { AccountId } from '../store/ids.ts'
import type { ReadConnection } from '../store/read-connection.ts'
import { type HeaderMailbox, parseRecipientAddress, pinOfDisplayName } from './pins.ts'
import { bindAddress, contactsOf } from './trust.ts'

/** People of the header who are shown without getting the message; a list of more is a mailing list's, and shown in part. */
const MAX_SHOWN = 100

interface HeaderContext {
  readonly read: ReadConnection
  readonly accountId: AccountId
  /** Raw header of the submitted message. */
  readonly headerBytes: Uint8Array
  /** The recipients of the envelope: they have lines of their own, or none on purpose. */
  readonly envelope: readonly { readonly address: string; readonly keyId: KeyId | null }[]
}

/**
 * To and Cc lines for people whom the header names and the envelope does not (case S13: a redirect, a Bcc copy): shown
 * to who gets the message, and nothing else of it goes to them. Only people whose key is known have such a line in
 * HEADER.TXT (CM message, trap 2).
 */
export function headerOnlyRecipients(context: HeaderContext): DisplayRecipient[] {
  const fields = splitHeader(context.headerBytes)
  const shown = new Map<KeyId, DisplayRecipient>()
  for (const [type, name] of [
    ['to', 'To'],
    ['cc', 'Cc'],
  ] as const) {
    for (const mailbox of mailboxesNamed(fields, name)) {
      const contact = contactOf(context, mailbox)
      if (contact === undefined || shown.size >= MAX_SHOWN || shown.has(contact.keyId)) continue
      const transport = transportOf(contact)
      if (transport === undefined) continue
      shown.set(contact.keyId, { type, keyId: contact.keyId, text: contact.userId, transport })
    }
  }
  return [...shown.values()]
}

function contactOf(
  { read, accountId, envelope }: HeaderContext,
  mailbox: HeaderMailbox,
): StoredContact | undefined {
  const parsed = parseRecipientAddress(mailbox.address)
  if (parsed.kind === 'unreachable') return undefined
  const pin = parsed.pin ?? pinOfDisplayName(mailbox.displayName)
  const binding =
    parsed.kind === 'address' && pin === null
      ? bindAddress(contactsOf(read, accountId, parsed.address))
      : undefined
  const bound = binding?.kind === 'one' ? binding.contact : undefined
  const contact = pin === null ? bound : contactByKeyId(read, accountId, pin)
  const isInEnvelope = envelope.some(
    ({ address, keyId }) => isSameAddress(address, mailbox.address) || keyId === contact?.keyId,
  )
  return isInEnvelope ? undefined : contact
}

function transportOf(contact: StoredContact): string | undefined {
  const parsed = parseKeyAnnouncement(contact.announcement)
  if (parsed.kind !== 'ok' || parsed.announcement.transport?.kind !== 'servers') return undefined
  return encodeTransport(parsed.announcement.transport)
}

import { type AddressEntry, type MailboxEntry, parseAddressList } from './address-list.ts'
import { fieldsNamed, fieldValue, firstValue, type HeaderField } from './header.ts'
import type { EnvelopeAddress, ImapEnvelope } from './message-index.ts'

/**
 * ENVELOPE of a header (RFC 9051 7.5.2): several fields of one name make one list; Sender and Reply-To that are
 * missing or empty are those of From; a list without addresses is null.
 */
export function buildEnvelope(fields: readonly HeaderField[]): ImapEnvelope {
  const from = addresses(fields, 'from')
  return {
    date: text(fields, 'date'),
    subject: text(fields, 'subject'),
    from,
    sender: addresses(fields, 'sender') ?? from,
    replyTo: addresses(fields, 'reply-to') ?? from,
    to: addresses(fields, 'to'),
    cc: addresses(fields, 'cc'),
    bcc: addresses(fields, 'bcc'),
    inReplyTo: text(fields, 'in-reply-to'),
    messageId: text(fields, 'message-id'),
  }
}

function text(fields: readonly HeaderField[], name: string): string | null {
  return firstValue(fields, name) ?? null
}

function addresses(fields: readonly HeaderField[], name: string): readonly EnvelopeAddress[] | null {
  const list = fieldsNamed(fields, name).flatMap((field) => parseAddressList(fieldValue(field)))
  const result = list.flatMap(envelopeAddresses)
  return result.length === 0 ? null : result
}

function envelopeAddresses(entry: AddressEntry): readonly EnvelopeAddress[] {
  if (entry.kind === 'mailbox') return [envelopeMailbox(entry)]
  return [
    { name: null, adl: null, mailbox: entry.name, host: null },
    ...entry.members.map(envelopeMailbox),
    { name: null, adl: null, mailbox: null, host: null },
  ]
}

function envelopeMailbox(entry: MailboxEntry): EnvelopeAddress {
  // An empty host, not null: null would open a group.
  return { name: entry.name, adl: null, mailbox: entry.localPart, host: entry.domain ?? '' }
}

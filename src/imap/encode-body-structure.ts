import type { BodyPart, EnvelopeAddress, ImapEnvelope, Parameters } from '../mail/message-index.ts'
import { isQuotable } from './abnf.ts'

/** ENVELOPE and BODYSTRUCTURE as byte strings (RFC 9051 7.5.2). */

/** string = quoted / literal: a literal only where quoted cannot be. NUL, which neither can hold, becomes U+0080's octet. */
export function encodeString(bytes: string): string {
  if (isQuotable(bytes)) return `"${bytes.replace(/["\\]/g, '\\$&')}"`
  return `{${bytes.length}}\r\n${bytes.replaceAll('\0', '\x80')}`
}

/** nstring = string / nil */
export function encodeNstring(bytes: string | null): string {
  return bytes === null ? 'NIL' : encodeString(bytes)
}

// envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP
//            env-in-reply-to SP env-message-id ")"
export function encodeEnvelope(envelope: ImapEnvelope): string {
  return `(${[
    encodeNstring(envelope.date),
    encodeNstring(envelope.subject),
    encodeAddresses(envelope.from),
    encodeAddresses(envelope.sender),
    encodeAddresses(envelope.replyTo),
    encodeAddresses(envelope.to),
    encodeAddresses(envelope.cc),
    encodeAddresses(envelope.bcc),
    encodeNstring(envelope.inReplyTo),
    encodeNstring(envelope.messageId),
  ].join(' ')})`
}

function encodeAddresses(addresses: readonly EnvelopeAddress[] | null): string {
  if (addresses === null || addresses.length === 0) return 'NIL'
  // address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
  const encoded = addresses.map(
    ({ name, adl, mailbox, host }) => `(${[name, adl, mailbox, host].map(encodeNstring).join(' ')})`,
  )
  return `(${encoded.join('')})`
}

/** body = "(" (body-type-1part / body-type-mpart) ")"; without extension data for BODY. */
export function encodeBody(part: BodyPart, form: 'BODY' | 'BODYSTRUCTURE'): string {
  const fields = part.kind === 'multipart' ? multipartFields(part, form) : singlePartFields(part, form)
  if (form === 'BODYSTRUCTURE') fields.push(...extensionFields(part))
  return `(${fields.join(' ')})`
}

// body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart] ; body-ext-mpart = body-fld-param [SP …]
function multipartFields(
  part: BodyPart & { readonly kind: 'multipart' },
  form: 'BODY' | 'BODYSTRUCTURE',
): string[] {
  // The grammar has no multipart without parts: an empty text part stands for them.
  const parts =
    part.parts.length === 0 ? EMPTY_PART[form] : part.parts.map((inner) => encodeBody(inner, form)).join('')
  const fields = [parts, encodeString(part.subtype)]
  if (form === 'BODYSTRUCTURE') fields.push(encodeParameters(part.parameters))
  return fields
}

const EMPTY_PART = {
  BODY: '("text" "plain" NIL NIL NIL "7bit" 0 0)',
  BODYSTRUCTURE: '("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL)',
} as const

// body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
// body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets
function singlePartFields(
  part: Exclude<BodyPart, { readonly kind: 'multipart' }>,
  form: 'BODY' | 'BODYSTRUCTURE',
): string[] {
  const fields = [
    encodeString(part.type),
    encodeString(part.subtype),
    encodeParameters(part.parameters),
    encodeNstring(part.contentId),
    encodeNstring(part.description),
    encodeString(part.encoding),
    `${part.body.end - part.body.start}`,
  ]
  if (part.kind === 'message') fields.push(encodeEnvelope(part.envelope), encodeBody(part.message, form))
  if (part.kind !== 'basic') fields.push(`${part.lines}`)
  if (form === 'BODYSTRUCTURE') fields.push(encodeNstring(part.md5))
  return fields
}

// … [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc *(SP body-extension)]]]
function extensionFields(part: BodyPart): string[] {
  const { disposition, language } = part
  return [
    disposition === null
      ? 'NIL'
      : `(${encodeString(disposition.type)} ${encodeParameters(disposition.parameters)})`,
    language === null || language.length === 0 ? 'NIL' : `(${language.map(encodeString).join(' ')})`,
    encodeNstring(part.location),
  ]
}

// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
function encodeParameters(parameters: Parameters): string {
  if (parameters.length === 0) return 'NIL'
  return `(${parameters.map(([name, value]) => `${encodeString(name)} ${encodeString(value)}`).join(' ')})`
}

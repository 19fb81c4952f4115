import type { AnnouncementId, MessageHash } from '../cm/ids.ts'
import type { MessageOwner, OpenedMessage } from '../cm/message/decode-message.ts'
import type { Disposition, SignatureWord } from '../cm/message/disposition.ts'
import type { HeaderParty } from '../cm/message/header-txt.ts'
import type { JudgedMessage } from '../cm/message/judge-message.ts'
import { type MessageAnnouncement, messageIdOf } from '../cm/message-announcement.ts'
import { formatUtcTime } from '../cm/utc-time.ts'

/** The JSON of `cmbridge inspect message`; null stands for what the message does not have. */
export interface MessageReport {
  readonly announcementId: AnnouncementId | null
  readonly messageHash: MessageHash | null
  readonly signature: SignatureWord
  /** Primary key of the signer, upper or lower case never mixed: lower. */
  readonly signer: string | null
  readonly disposition: Disposition['place']
  readonly reason: Disposition['reason']
  /** `<user id> <key id>`, as they stand in HEADER.TXT. */
  readonly from: string | null
  readonly to: readonly string[]
  readonly cc: readonly string[]
  readonly bcc: readonly string[]
  readonly subject: string | null
  readonly date: string | null
  readonly messageUniqueId: string | null
  readonly replyThreadId: string | null
  readonly forwardedMessageId: string | null
  readonly text: string | null
  readonly html: string | null
  readonly attachments: readonly { readonly name: string; readonly size: number; readonly sha256: string }[]
  readonly acknowledgments: readonly AcknowledgmentReport[]
  /** The time before which a signature ahead of the clock is not judged. */
  readonly heldUntil: string | null
  readonly warnings: readonly string[]
}

interface AcknowledgmentReport {
  readonly keyId: string
  /** The public id in the header; null when only the ACK file is there. */
  readonly id: string | null
  /** 40 hex, for a key whose secret key was given. */
  readonly secret: string | null
  readonly bypassToken: { readonly secret: string; readonly created: string; readonly expires: string } | null
}

export interface MessageFindings {
  readonly announcement: MessageAnnouncement | undefined
  readonly owner: MessageOwner | undefined
  readonly opened?: OpenedMessage
  readonly judged?: JudgedMessage
  readonly disposition: Disposition
}

export function reportMessage(findings: MessageFindings): MessageReport {
  const { announcement, opened, judged, disposition } = findings
  const header = opened?.header
  const heldUntilMs = judged?.verdict.heldUntilMs
  return {
    announcementId: announcement === undefined ? null : messageIdOf(announcement),
    messageHash: announcement?.messageHash ?? null,
    signature: judged?.verdict.signature ?? 'none',
    signer: judged?.verdict.signer ?? null,
    disposition: disposition.place,
    reason: disposition.reason,
    from: header === undefined ? null : partyLine(header.from),
    to: recipientLines(opened, 'to'),
    cc: recipientLines(opened, 'cc'),
    bcc: recipientLines(opened, 'bcc'),
    subject: header?.subject ?? null,
    date: header?.date?.text ?? null,
    messageUniqueId: header?.messageUniqueId ?? null,
    replyThreadId: header?.replyThreadId ?? null,
    forwardedMessageId: header?.forwardedMessageId ?? null,
    text: opened?.bodyText ?? null,
    html: opened?.bodyHtml ?? null,
    attachments: (opened?.attachments ?? []).map(({ name, size, sha256 }) => ({ name, size, sha256 })),
    acknowledgments: opened === undefined ? [] : acknowledgments(opened, findings.owner),
    heldUntil: heldUntilMs === undefined ? null : formatUtcTime(heldUntilMs),
    warnings: warnings(findings),
  }
}

function partyLine(party: HeaderParty): string {
  return party.text === '' ? party.keyId : `${party.text} ${party.keyId}`
}

function recipientLines(opened: OpenedMessage | undefined, type: 'to' | 'cc' | 'bcc'): string[] {
  const recipients = opened?.header.recipients ?? []
  return recipients.filter((one) => one.type === type).map(partyLine)
}

function acknowledgments(opened: OpenedMessage, owner: MessageOwner | undefined): AcknowledgmentReport[] {
  const ids = new Map<string, string | null>(opened.header.acknowledgmentIds)
  const { acknowledgmentSecret, bypassGrant } = opened.acknowledgment
  const hasOurs = acknowledgmentSecret !== undefined || bypassGrant !== undefined
  if (owner !== undefined && hasOurs && !ids.has(owner.keyId)) ids.set(owner.keyId, null)
  return [...ids].map(([keyId, id]) => {
    const isOurs = keyId === owner?.keyId
    const secret = isOurs && acknowledgmentSecret ? Buffer.from(acknowledgmentSecret).toString('hex') : null
    return { keyId, id, secret, bypassToken: isOurs ? (bypassGrant ?? null) : null }
  })
}

/** Words: what is odd about the contents, why the signature is not good, what is wrong with the date or the address. */
function warnings({ announcement, owner, opened, judged }: MessageFindings): string[] {
  const words: string[] = [...(opened?.warnings ?? [])]
  if (judged?.verdict.reason !== undefined) words.push(judged.verdict.reason)
  if (judged?.dateFault !== undefined) words.push(judged.dateFault)
  if (judged !== undefined && owner !== undefined && !judged.isNamed) words.push('recipient-not-named')
  if (announcement !== undefined && announcement.recipient !== owner?.keyId) {
    words.push('announced-to-another-key')
  }
  return [...new Set(words)]
}

import { isSameAddress } from '../mail/address.ts'
import { indexMessage } from '../mail/index-message.ts'
import type { Account } from '../store/account-queries.ts'
import { contactByKeyId } from '../store/contact-queries.ts'
import type { InboundMessage } from '../store/inbound-queries.ts'
import type { NoticeDraft } from '../store/report-operations.ts'
import type { CmContext } from './bridge-context.ts'
import type { JudgedInbound, Sender } from './judge-inbound.ts'
import { encodeNotice, type Notice, type NoticedKey } from './reports/notices.ts'

/** What the owner is told in Notices about mail that came: each thing once (design 10). */

/** Octets of randomness in the Message-ID of a notice. */
const NOTICE_ID_BYTES = 16

/** What it takes to tell the owner something. */
export type NoticeContext = Pick<CmContext, 'store' | 'clock' | 'randomBytes' | 'log'>

/** A message of ours, durable and indexed, for Notices. */
export async function draftNotice(
  context: NoticeContext,
  account: Account,
  { notice, subject }: { readonly notice: Notice; readonly subject: string },
): Promise<NoticeDraft> {
  const bytes = encodeNotice(notice, bridgeMail(context, account))
  const sink = await context.store.beginSpool(account.id)
  await sink.write(bytes)
  const spooled = await sink.finish()
  const index = await indexMessage(spooled.read())
  return { kind: notice.kind, subject, message: context.store.draftMessage(spooled, index) }
}

/** Who a message of the bridge is for, and its id. */
export function bridgeMail(context: NoticeContext, account: Account) {
  return {
    id: Buffer.from(context.randomBytes(NOTICE_ID_BYTES)).toString('hex'),
    to: { name: account.displayName, address: account.address },
    dateMs: context.clock.now(),
  }
}

/** Mail that cannot be read is kept and told once. */
export function unreadableNotice(
  context: CmContext,
  given: { readonly account: Account; readonly message: InboundMessage; readonly reason: string },
): Promise<NoticeDraft> {
  const { account, message, reason } = given
  const { announcementId, server, seenMs } = message
  const notice = {
    kind: 'unreadable-mail',
    announcementId,
    reason,
    receivedMs: seenMs,
    receivedFrom: server,
  } as const
  return draftNotice(context, account, { notice, subject: announcementId })
}

/** Two or more keys claim the sender's address; told once for each set of keys. */
export async function collisionNotices(
  context: CmContext,
  account: Account,
  judged: JudgedInbound,
): Promise<NoticeDraft[]> {
  const { sender, verdict } = judged
  if (sender === undefined || verdict.collidingKeys.length === 0) return []
  const keys = [sender.keyId, ...verdict.collidingKeys].sort()
  const rival = noticedKey(context, account, sender)
  const notice: Notice = sender.addresses.some((address) => isSameAddress(address, account.address))
    ? { kind: 'rival-of-own-address', address: account.address, rival }
    : {
        kind: 'key-collision',
        address: sender.addresses[0] ?? '',
        keys: [rival, ...verdict.collidingKeys.map((keyId) => knownKey(context, account, { keyId, judged }))],
      }
  return [await draftNotice(context, account, { notice, subject: keys.join(' ') })]
}

function noticedKey(context: CmContext, account: Account, sender: Sender): NoticedKey {
  const known = contactByKeyId(context.store.read, account.id, sender.keyId)
  return { keyId: sender.keyId, userId: sender.userId, firstSeenMs: known?.firstSeenMs ?? null }
}

function knownKey(
  context: CmContext,
  account: Account,
  { keyId, judged }: { readonly keyId: Sender['keyId']; readonly judged: JudgedInbound },
): NoticedKey {
  const known = contactByKeyId(context.store.read, account.id, keyId)
  const found = judged.contacts.find((contact) => contact.keyId === keyId)
  return {
    keyId,
    userId: known?.userId ?? found?.userId ?? '',
    firstSeenMs: known?.firstSeenMs ?? null,
  }
}

import { encodeTextField } from '../mail/encode-field.ts'
import { indexMessage } from '../mail/index-message.ts'
import type { Account } from '../store/account-queries.ts'
import type { InboundMessage } from '../store/inbound-queries.ts'
import type { NoticeDraft } from '../store/report-operations.ts'
import type { BridgeContext } from './bridge-context.ts'
import type { JudgedInbound } from './judge-inbound.ts'

async function draft(context: BridgeContext, account: Account, n: { kind: string; subject: string; title: string; text: string }): Promise<NoticeDraft> {
  const sink = await context.store.beginSpool(account.id)
  const head = `From: Confidant Bridge <bridge@cm.invalid>\r\n${encodeTextField('Subject', n.title)}\r\n`
  await sink.write(Buffer.from(`${head}${n.text}\r\n`))
  const spooled = await sink.finish()
  return { kind: n.kind, subject: n.subject, message: context.store.draftMessage(spooled, await indexMessage(spooled.read())) }
}
export async function undecryptableNotice(context: BridgeContext, g: { account: Account; message: InboundMessage; reason: string }): Promise<NoticeDraft> {
  return draft(context, g.account, { kind: 'undecryptable', subject: g.message.announcementId, title: 'A message cannot be read', text: g.reason })
}
export async function collisionNotice(context: BridgeContext, g: { account: Account; judged: JudgedInbound }): Promise<NoticeDraft> {
  return draft(context, g.account, { kind: 'collision', subject: g.judged.verdict.collidingKeys.join(','), title: 'Key collision', text: g.judged.verdict.collidingKeys.join(' ') })
}

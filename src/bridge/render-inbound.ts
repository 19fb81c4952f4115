import type { KeyId } from '../cm/ids.ts'
import type { Flag } from '../mail/flags.ts'
import { indexMessage } from '../mail/index-message.ts'
import type { Account } from '../store/account-queries.ts'
import type { MessageDraft } from '../store/blob-rows.ts'
import { contactByKeyId } from '../store/contact-queries.ts'
import { type InboundMessage, messageIdOfUniqueId } from '../store/inbound-queries.ts'
import type { SpooledMessage } from '../store/spool.ts'
import type { BridgeContext } from './bridge-context.ts'
import type { JudgedInbound } from './judge-inbound.ts'
import { incomingKeywords } from './render/incoming-headers.ts'
import { messageToRender } from './render/message-to-render.ts'
import { type MessageToRender, renderMessage } from './render/render-message.ts'
import { withRecipeFallback } from './render/with-recipe-fallback.ts'
import { forwardedToRender } from './render-forwarded.ts'

export interface RenderedInbound {
  readonly draft: MessageDraft
  readonly flags: readonly Flag[]
  /** The Message-ID it is served with. */
  readonly messageId: string | null
  /** Removes the bytes unless a row refers to them. */
  readonly discard: () => Promise<void>
}

interface Given {
  readonly account: Account
  readonly message: InboundMessage
  readonly judged: JudgedInbound
  /** Where the message was opened: a forwarded original is opened beside it. */
  readonly workDir: string
}

/** Renders a judged message into the store's spool: its bytes never change after that (design 8.6). */
export async function renderInbound(context: BridgeContext, given: Given): Promise<RenderedInbound> {
  const { account, message, judged, workDir } = given
  const forwarded = await forwardedToRender(context, {
    account,
    opened: judged.opened,
    workDir,
    arrivedMs: message.seenMs,
    userIdOf: (keyId) => userIdOf(context, given, keyId),
  })
  const input = await messageToRender(judged.opened, {
    owner: account.keyId,
    userIdOf: (keyId) => userIdOf(context, given, keyId),
    verdict: judged.verdict,
    origin: { messageId: message.announcementId, receivedFrom: message.server },
    arrivedMs: message.seenMs,
    replyToIds: replyToIds(context, given),
    fingerprint: 'always',
    forwarded,
  })
  const spooled = await withRecipeFallback(input, (attempt) => spool(context, account, attempt))
  const index = await indexMessage(spooled.read())
  return {
    draft: context.store.draftMessage(spooled, index),
    flags: incomingKeywords(judged.verdict),
    messageId: index.envelope.messageId,
    discard: () => spooled.discard(),
  }
}

async function spool(
  context: BridgeContext,
  account: Account,
  input: MessageToRender,
): Promise<SpooledMessage> {
  const sink = await context.store.beginSpool(account.id)
  try {
    for await (const bytes of renderMessage(input)) await sink.write(bytes)
    return await sink.finish()
  } catch (error) {
    await sink.discard()
    throw error
  }
}

/** ReplyThreadId → Message-ID by the ids this account has seen (design 10). */
function replyToIds(context: BridgeContext, { account, judged }: Given): readonly string[] {
  const thread = judged.opened.header.replyThreadId
  if (thread === undefined) return []
  return [messageIdOfUniqueId(context.store.read, account.id, thread) ?? `<${thread}@cm.invalid>`]
}

/** The user id of a key we hold: the account's own, the sender's, or a contact's. */
function userIdOf(context: BridgeContext, { account, judged }: Given, keyId: KeyId): string | undefined {
  if (keyId === account.keyId) return `${account.displayName} <${account.address}>`.trim()
  if (keyId === judged.sender?.keyId) return judged.sender.userId
  return contactByKeyId(context.store.read, account.id, keyId)?.userId
}

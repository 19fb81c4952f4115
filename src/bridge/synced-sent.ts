import type { OpenedMessage } from '../cm/message/decode-message.ts'
import {
  MAX_SYNCED_MESSAGE_BYTES,
  parseSyncedMessage,
  type SyncedMessage,
  syncedMessageEntry,
} from '../cm/message/synced-message.ts'
import { indexMessage } from '../mail/index-message.ts'
import type { Account } from '../store/account-queries.ts'
import { contactByKeyId } from '../store/contact-queries.ts'
import type { SyncedSentCopy } from '../store/folder-sync-rows.ts'
import { messageIdOfUniqueId } from '../store/inbound-queries.ts'
import type { SpooledMessage } from '../store/spool.ts'
import type { BridgeContext } from './bridge-context.ts'
import { readSmallEntry } from './read-small-entry.ts'
import type { Party } from './render/display-name.ts'
import { type MessageToRender, renderMessage } from './render/render-message.ts'

/** What another client of the account sent, as copies for Sent (CM message 7.4). */

/** Copies made of one folder-sync message; a client that was long away has more, which stay with it. */
const MAX_COPIES = 200

interface Given {
  readonly account: Account
  readonly opened: OpenedMessage
  /** Of `SendMsg` records, in their order. */
  readonly sentIds: readonly string[]
  readonly arrivedMs: number
}

/** Copies whose bytes are spooled; whoever gets them stores or discards them. */
export interface SyncedSentCopies {
  readonly copies: readonly SyncedSentCopy[]
  /** Removes their bytes unless rows refer to them. */
  readonly discard: () => Promise<void>
}

/** Renders the messages that are there and not known yet. Never fails for what they hold. */
export async function renderSentCopies(
  context: Pick<BridgeContext, 'store' | 'log'>,
  given: Given,
): Promise<SyncedSentCopies> {
  const copies: SyncedSentCopy[] = []
  const spooled: SpooledMessage[] = []
  const discard = async () => {
    for (const one of spooled) await one.discard()
  }
  try {
    for (const sentId of new Set(given.sentIds.slice(0, MAX_COPIES))) {
      const message = await readMessage(given.opened, sentId)
      if (message === undefined) continue
      const uniqueId = message.header?.messageUniqueId ?? sentId
      if (messageIdOfUniqueId(context.store.read, given.account.id, uniqueId) !== undefined) continue
      const bytes = await spool(context, given, { message, sentId, uniqueId })
      spooled.push(bytes)
      const index = await indexMessage(bytes.read())
      copies.push({
        message: context.store.draftMessage(bytes, index),
        messageUniqueId: uniqueId,
        messageId: index.envelope.messageId ?? `<${uniqueId}@cm.invalid>`,
        sentMs: dateOf(message, given.arrivedMs),
      })
    }
  } catch (error) {
    await discard()
    throw error
  }
  const leftOut = given.sentIds.length - MAX_COPIES
  if (leftOut > 0) context.log.warn({ leftOut }, 'a folder-sync message brings more sent mail than is taken')
  return { copies, discard }
}

async function readMessage(opened: OpenedMessage, sentId: string): Promise<SyncedMessage | undefined> {
  const name = syncedMessageEntry(sentId)
  const pickle = await readSmallEntry(opened, name, MAX_SYNCED_MESSAGE_BYTES)
  if (pickle === undefined) return undefined
  return parseSyncedMessage(pickle, await readSmallEntry(opened, `${name}.HDR`, MAX_SYNCED_MESSAGE_BYTES))
}

interface Sent {
  readonly message: SyncedMessage
  readonly sentId: string
  readonly uniqueId: string
}

async function spool(
  context: Pick<BridgeContext, 'store'>,
  given: Given,
  sent: Sent,
): Promise<SpooledMessage> {
  const sink = await context.store.beginSpool(given.account.id)
  try {
    for await (const bytes of renderMessage(toRender(context, given, sent))) await sink.write(bytes)
    return await sink.finish()
  } catch (error) {
    await sink.discard()
    throw error
  }
}

function dateOf({ header, savedMs }: SyncedMessage, arrivedMs: number): number {
  return header?.date?.ms ?? savedMs ?? arrivedMs
}

function toRender(
  { store }: Pick<BridgeContext, 'store'>,
  { account, arrivedMs }: Given,
  { message, sentId, uniqueId }: Sent,
): MessageToRender {
  const recipients = message.header?.recipients ?? message.recipients
  const of = (wanted: 'to' | 'cc' | 'bcc') =>
    recipients
      .filter(({ type }) => type === wanted)
      .map(
        ({ keyId, text }): Party => ({
          keyId,
          userId: contactByKeyId(store.read, account.id, keyId)?.userId,
          headerText: text,
        }),
      )
  const thread = message.header?.replyThreadId
  const threadId = thread === undefined ? undefined : messageIdOfUniqueId(store.read, account.id, thread)
  return {
    from: {
      keyId: account.keyId,
      userId: `${account.displayName} <${account.address}>`.trim(),
      headerText: '',
    },
    to: of('to'),
    cc: of('cc'),
    ownBcc: of('bcc'),
    subject: message.subject,
    dateMs: dateOf(message, arrivedMs),
    messageUniqueId: uniqueId,
    replyToIds: threadId === undefined ? [] : [threadId],
    bodyText: message.bodyText,
    bodyHtml: message.bodyHtml,
    bodyXml: message.bodyXml,
    attachments: namesOfFiles(message),
    // The account's own key signed what brought it.
    verdict: {
      signature: 'good',
      reason: 'verified',
      show: 'everything',
      signer: account.keyId,
      trust: undefined,
      firstSeenMs: undefined,
      collidingKeys: [],
    },
    origin: { messageId: sentId, receivedFrom: undefined },
    fingerprint: 'unless-verified',
  }
}

/** The other client sends names of its files, not the files: seen beside whichever body a mail program shows. */
function namesOfFiles({ attachmentNames }: SyncedMessage): MessageToRender['attachments'] {
  if (attachmentNames.length === 0) return []
  const names = attachmentNames.map((name) => name.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' '))
  const text = `Sent by another client of yours, which has these files:\r\n\r\n${names.join('\r\n')}\r\n`
  return [{ name: 'attachments that are not here.txt', open: () => once(Buffer.from(text)) }]
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

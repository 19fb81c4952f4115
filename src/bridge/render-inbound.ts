import type { HeaderParty } from '../cm/message/header-txt.ts'
import { readZipEntry, readZipEntryBytes } from '../cm/message/zip-read.ts'
import type { Flag } from '../mail/flags.ts'
import { indexMessage } from '../mail/index-message.ts'
import type { Account } from '../store/account-queries.ts'
import type { MessageDraft } from '../store/blob-rows.ts'
import { contactByKeyId } from '../store/contact-queries.ts'
import { type InboundMessage, messageIdOfUniqueId } from '../store/inbound-queries.ts'
import type { SpooledMessage } from '../store/spool.ts'
import type { BridgeContext } from './bridge-context.ts'
import type { JudgedInbound } from './judge-inbound.ts'
import {
  MAX_RECIPE_BYTES,
  parseRecipe,
  RECIPE_ENTRY_NAME,
  RecipeMismatchError,
  recipeEntries,
} from './mime/mime-recipe.ts'
import type { Party } from './render/display-name.ts'
import { incomingKeywords } from './render/incoming-headers.ts'
import { type MessageToRender, renderMessage } from './render/render-message.ts'

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
}

/** Renders a judged message into the store's spool: its bytes never change after that (design 8.6). */
export async function renderInbound(context: BridgeContext, given: Given): Promise<RenderedInbound> {
  const input = await toRender(context, given)
  const spooled = await spoolRendered(context, given.account, input)
  const index = await indexMessage(spooled.read())
  return {
    draft: context.store.draftMessage(spooled, index),
    flags: incomingKeywords(given.judged.verdict),
    messageId: index.envelope.messageId,
    discard: () => spooled.discard(),
  }
}

async function spoolRendered(
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
    const { recipe, ...withoutRecipe } = input
    if (recipe === undefined || !(error instanceof RecipeMismatchError)) throw error
    return spoolRendered(context, account, withoutRecipe)
  }
}

async function toRender(
  context: BridgeContext,
  { account, message, judged }: Given,
): Promise<MessageToRender> {
  const { opened } = judged
  const { header } = opened
  const party = (one: HeaderParty): Party => ({
    keyId: one.keyId,
    userId: userIdOf(context, account, { keyId: one.keyId, judged }),
    headerText: one.text,
  })
  const of = (type: 'to' | 'cc' | 'bcc') => header.recipients.filter((one) => one.type === type)
  const recipe = await recipeOf(judged)
  const thread = header.replyThreadId
  return {
    from: party(header.from),
    to: of('to').map(party),
    cc: of('cc').map(party),
    ownBcc: of('bcc')
      .filter(({ keyId }) => keyId === account.keyId)
      .map(party),
    subject: header.subject ?? '',
    dateMs: header.date?.ms ?? message.seenMs,
    messageUniqueId: header.messageUniqueId,
    replyToIds:
      thread === undefined
        ? []
        : [messageIdOfUniqueId(context.store.read, account.id, thread) ?? `<${thread}@cm.invalid>`],
    bodyText: opened.bodyText,
    bodyHtml: opened.bodyHtml,
    bodyXml: opened.bodyXml,
    attachments: opened.attachments.map(({ name, entry }) => ({
      name,
      open: () => readZipEntry(opened.zip, entry),
    })),
    ...(recipe === undefined ? {} : { recipe }),
    verdict: judged.verdict,
    origin: { messageId: message.announcementId, receivedFrom: message.server },
    fingerprint: 'always',
  }
}

/** The user id of a key we hold: the account's own, the sender's, or a contact's. */
function userIdOf(
  context: BridgeContext,
  account: Account,
  { keyId, judged }: { readonly keyId: Party['keyId']; readonly judged: JudgedInbound },
): string | undefined {
  if (keyId === account.keyId) return `${account.displayName} <${account.address}>`.trim()
  if (keyId === judged.sender?.keyId) return judged.sender.userId
  return contactByKeyId(context.store.read, account.id, keyId)?.userId
}

/** The recipe of another bridge, when its archive has every entry it asks for (design 7.7). */
async function recipeOf({ opened }: JudgedInbound): Promise<MessageToRender['recipe'] | undefined> {
  const entries = new Map(opened.entries.map((entry) => [entry.name, entry]))
  const entry = entries.get(RECIPE_ENTRY_NAME)
  if (entry === undefined || entry.size > MAX_RECIPE_BYTES) return undefined
  const recipe = parseRecipe(await readZipEntryBytes(opened.zip, entry, { maxBytes: MAX_RECIPE_BYTES }))
  if (recipe === undefined || !recipeEntries(recipe).every((name) => entries.has(name))) return undefined
  return {
    recipe,
    openEntry: (name) => {
      const found = entries.get(name)
      if (found === undefined) throw new RecipeMismatchError(`no entry ${name}`)
      return readZipEntry(opened.zip, found)
    },
  }
}

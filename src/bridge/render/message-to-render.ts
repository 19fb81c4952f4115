import type { KeyId } from '../../cm/ids.ts'
import type { OpenedMessage } from '../../cm/message/decode-message.ts'
import type { HeaderParty } from '../../cm/message/header-txt.ts'
import { readZipEntry, ZipDamagedError } from '../../cm/message/zip-read.ts'
import {
  MAX_RECIPE_BYTES,
  type MimeRecipe,
  parseRecipe,
  RECIPE_ENTRY_NAME,
  recipeEntries,
} from '../mime/mime-recipe.ts'
import { readSmallEntry } from '../read-small-entry.ts'
import type { Party } from './display-name.ts'
import type { IncomingOrigin, IncomingVerdict } from './incoming-headers.ts'
import type { MessageToRender } from './render-message.ts'

/** What an opened message does not say of itself. */
export interface RenderContext {
  readonly owner: KeyId | undefined
  /** The user id to show of a key we hold (design 9). */
  readonly userIdOf: (keyId: KeyId) => string | undefined
  readonly verdict: IncomingVerdict
  readonly origin: IncomingOrigin
  /** Stands for a Date that cannot be read. */
  readonly arrivedMs: number
  readonly replyToIds: readonly string[]
  readonly fingerprint: MessageToRender['fingerprint']
  /** The original inside a signed forward, ready to be rendered. */
  readonly forwarded?: MessageToRender | undefined
}

/**
 * An opened and judged message as the renderer takes it. The file behind `opened.zip` must stay until it is rendered.
 * A recipe that is damaged or names entries that are not there is left out: the parts are shown instead.
 */
export async function messageToRender(
  opened: OpenedMessage,
  context: RenderContext,
): Promise<MessageToRender> {
  const { header } = opened
  const recipients = (type: 'to' | 'cc' | 'bcc') => header.recipients.filter((one) => one.type === type)
  const party = ({ keyId, text }: HeaderParty): Party => ({
    keyId,
    userId: context.userIdOf(keyId),
    headerText: text,
  })
  const recipe = await readRecipe(opened)
  return {
    from: party(header.from),
    to: recipients('to').map(party),
    cc: recipients('cc').map(party),
    ownBcc: recipients('bcc')
      .filter(({ keyId }) => keyId === context.owner)
      .map(party),
    subject: header.subject ?? '',
    dateMs: header.date?.ms ?? context.arrivedMs,
    messageUniqueId: header.messageUniqueId,
    replyToIds: context.replyToIds,
    bodyText: opened.bodyText,
    bodyHtml: opened.bodyHtml,
    bodyXml: opened.bodyXml,
    attachments: opened.attachments.map(({ name, entry }) => ({
      name,
      open: () => readZipEntry(opened.zip, entry),
    })),
    ...(context.forwarded === undefined ? {} : { forwarded: context.forwarded }),
    ...(recipe === undefined ? {} : { recipe: { recipe, openEntry: (name) => openEntry(opened, name) } }),
    verdict: context.verdict,
    origin: context.origin,
    fingerprint: context.fingerprint,
  }
}

async function readRecipe(opened: OpenedMessage): Promise<MimeRecipe | undefined> {
  const bytes = await readSmallEntry(opened, RECIPE_ENTRY_NAME, MAX_RECIPE_BYTES)
  const recipe = bytes && parseRecipe(bytes)
  if (recipe === undefined) return undefined
  // Two entries of one name would let two readers rebuild two messages.
  const isUsable = recipeEntries(recipe).every(
    (name) => opened.entries.filter((one) => one.name === name).length === 1,
  )
  return isUsable ? recipe : undefined
}

async function* openEntry(opened: OpenedMessage, name: string): AsyncGenerator<Uint8Array> {
  const entry = opened.entries.find((one) => one.name === name)
  if (entry === undefined) throw new ZipDamagedError(`no entry ${JSON.stringify(name)}`)
  yield* readZipEntry(opened.zip, entry)
}

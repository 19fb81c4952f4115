import type { AppendOutcome, AppendSink } from '../imap/port.ts'
import type { Flag } from '../mail/flags.ts'
import { indexMessage } from '../mail/index-message.ts'
import type { MessageIndex } from '../mail/message-index.ts'
import type { MessageDraft } from './blob-rows.ts'
import { DiskFullError } from './errors.ts'
import type { AccountId } from './ids.ts'
import type { Store } from './open-store.ts'
import type { SpooledMessage, SpoolSink } from './spool.ts'

/** A client's APPEND whose bytes are durable and indexed, not yet in a mailbox. */
export interface PendingAppend {
  readonly accountId: AccountId
  /** The mailbox it is for, as stored. */
  readonly mailboxName: string
  readonly spooled: SpooledMessage
  readonly index: MessageIndex
  /** For `insertMessage`, should the bridge put it there by an operation of its own. */
  readonly draft: MessageDraft
  readonly flags: readonly Flag[]
  /** Milliseconds since 1970; null: now. */
  readonly internalDateMs: number | null
}

export interface AppendContext {
  readonly store: Store
  readonly accountId: AccountId
  readonly mailboxName: string
  readonly maxMessageBytes: number
  readonly beforeAppend: (append: PendingAppend) => Promise<AppendOutcome | undefined>
}

type CommitOptions = Parameters<AppendSink['commit']>[0]

/** APPEND into the store: spool, index, ask the bridge, insert. */
export function createAppendSink(context: AppendContext, spool: SpoolSink): AppendSink {
  let hasNul = false
  return {
    async write(bytes) {
      if (spool.sizeBytes + bytes.length > context.maxMessageBytes)
        throw new Error('more octets than announced')
      hasNul ||= bytes.includes(0)
      await spool.write(bytes)
    },
    async commit(options) {
      if (hasNul) {
        await spool.discard()
        // Design 7.4: APPEND keeps its bytes, refusing NUL only.
        return { kind: 'refused', reason: 'the message contains NUL' }
      }
      try {
        return await commit(context, spool, options)
      } catch (error) {
        if (error instanceof DiskFullError) return { kind: 'limit', reason: 'the disk is full' }
        throw error
      }
    },
    discard: () => spool.discard(),
  }
}

async function commit(
  context: AppendContext,
  spool: SpoolSink,
  options: CommitOptions,
): Promise<AppendOutcome> {
  const spooled = await finish(spool)
  try {
    const outcome = await insert(context, spooled, options)
    if (outcome.kind !== 'ok') await spooled.discard()
    return outcome
  } catch (error) {
    await spooled.discard()
    throw error
  }
}

async function finish(spool: SpoolSink): Promise<SpooledMessage> {
  try {
    return await spool.finish()
  } catch (error) {
    await spool.discard()
    throw error
  }
}

async function insert(
  context: AppendContext,
  spooled: SpooledMessage,
  { flags, internalDate }: CommitOptions,
): Promise<AppendOutcome> {
  const { store, accountId, mailboxName } = context
  const index = await indexMessage(spooled.read())
  const draft = store.draftMessage(spooled, index)
  const internalDateMs = internalDate?.getTime() ?? null
  const decided = await context.beforeAppend({
    accountId,
    mailboxName,
    spooled,
    index,
    draft,
    flags,
    internalDateMs,
  })
  if (decided !== undefined) {
    await spooled.discard()
    return decided
  }
  return store.write('appendMessage', { accountId, mailboxName, message: draft, flags, internalDateMs })
}

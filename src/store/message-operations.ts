import type { AppendOutcome, CopyOutcome, MessageSummary, StoreFlagsMode, Uid } from '../imap/port.ts'
import type { Flag } from '../mail/flags.ts'
import type { MessageDraft } from './blob-rows.ts'
import { changeFlags, DELETED_BIT, type FlagColumns, toFlagColumns } from './flag-columns.ts'
import type { AccountId, MailboxId } from './ids.ts'
import { OUTBOX, OUTBOX_REASON } from './mailbox-names.ts'
import { findMailbox, mailboxById } from './mailbox-rows.ts'
import { changeMessageFlags } from './message-flag-rows.ts'
import { copyMessages, deleteMessages, insertMessage } from './message-rows.ts'
import type { WriteTransaction } from './operation.ts'

interface CopyArgs {
  readonly fromMailboxId: MailboxId
  readonly uids: readonly Uid[]
  readonly mailboxName: string
}

export const messageOperations = {
  /** RFC 9051 6.3.12. The draft's bytes are durable already when they are a file. */
  appendMessage(
    tx: WriteTransaction,
    args: {
      readonly accountId: AccountId
      readonly mailboxName: string
      readonly message: MessageDraft
      readonly flags: readonly Flag[]
      /** Null: now. */
      readonly internalDateMs: number | null
    },
  ): AppendOutcome {
    const mailbox = findMailbox(tx, args.accountId, args.mailboxName)
    if (mailbox === undefined) return { kind: 'no-such-mailbox' }
    const uid = insertMessage(tx, {
      mailbox,
      content: args.message,
      flags: args.flags,
      internalDateMs: args.internalDateMs ?? tx.nowMs,
    })
    return { kind: 'ok', uidValidity: mailbox.uidValidity, uid }
  },

  /** RFC 9051 6.4.6; the messages that are there, ascending, with their flags afterwards. */
  storeFlags(
    tx: WriteTransaction,
    args: {
      readonly mailboxId: MailboxId
      readonly uids: readonly Uid[]
      readonly mode: StoreFlagsMode
      readonly flags: readonly Flag[]
    },
  ): MessageSummary[] {
    const mailbox = mailboxById(tx, args.mailboxId)
    if (mailbox === undefined) return []
    const { uids, mode, flags } = args
    // A keyword that is only taken away is none that the mailbox has.
    if (mode === 'remove') {
      const removed = toFlagColumns(flags)
      const apply = (current: FlagColumns): FlagColumns => changeFlags(current, mode, removed)
      return changeMessageFlags(tx, mailbox, { uids, flags: [], apply })
    }
    return changeMessageFlags(tx, mailbox, {
      uids,
      flags,
      apply: (current, given) => changeFlags(current, mode, given),
    })
  },

  /** RFC 9051 6.4.7: all or none. */
  copyMessages(tx: WriteTransaction, args: CopyArgs): CopyOutcome {
    return copy(tx, args)
  },

  /** RFC 9051 6.4.8: each message is in exactly one of the two mailboxes at any time, here all at once. */
  moveMessages(tx: WriteTransaction, args: CopyArgs): CopyOutcome {
    const outcome = copy(tx, args)
    const from = mailboxById(tx, args.fromMailboxId)
    if (outcome.kind !== 'ok' || from === undefined) return outcome
    deleteMessages(
      tx,
      from,
      outcome.pairs.map((pair) => pair.from),
    )
    return outcome
  },

  /** Removes those of the UIDs (of all when null) that have \Deleted, at most `limit`, lowest first (RFC 9051 6.4.3, 6.4.9). */
  expungeMessages(
    tx: WriteTransaction,
    args: { readonly mailboxId: MailboxId; readonly uids: readonly Uid[] | null; readonly limit: number },
  ): Uid[] {
    const mailbox = mailboxById(tx, args.mailboxId)
    if (mailbox === undefined) return []
    const rows =
      args.uids === null
        ? tx
            .sql(
              `SELECT uid FROM messages WHERE mailbox_id = ? AND system_flags & ${DELETED_BIT} <> 0
               ORDER BY uid LIMIT ?`,
            )
            .all(mailbox.id, args.limit)
        : tx
            .sql(
              `SELECT uid FROM messages WHERE mailbox_id = ? AND system_flags & ${DELETED_BIT} <> 0
               AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid LIMIT ?`,
            )
            .all(mailbox.id, JSON.stringify(args.uids), args.limit)
    return deleteMessages(
      tx,
      mailbox,
      rows.map((row) => Number(row.uid) as Uid),
    )
  },
}

function copy(tx: WriteTransaction, args: CopyArgs): CopyOutcome {
  const from = mailboxById(tx, args.fromMailboxId)
  if (from === undefined) return { kind: 'refused', reason: 'the selected mailbox was deleted' }
  const to = findMailbox(tx, from.accountId, args.mailboxName)
  if (to === undefined) return { kind: 'no-such-mailbox' }
  if (to.name === OUTBOX) return { kind: 'refused', reason: OUTBOX_REASON }
  return {
    kind: 'ok',
    uidValidity: to.uidValidity,
    pairs: copyMessages(tx, { from, to, uids: args.uids }),
  }
}

import type { MessageSummary, Uid } from '../imap/port.ts'
import type { Flag } from '../mail/flags.ts'
import { type FlagColumns, MAX_KEYWORDS_PER_MAILBOX, toFlagColumns, toFlags } from './flag-columns.ts'
import type { MailboxId } from './ids.ts'
import type { MailboxRow } from './mailbox-rows.ts'
import type { WriteTransaction } from './operation.ts'

/** Flags and MODSEQs of messages; knows nothing of what else happens to a message. */

/** The next MODSEQ of a mailbox; one for all messages that one operation changes (RFC 7162 3.1). */
export function nextModSeq(tx: WriteTransaction, mailboxId: MailboxId): number {
  const row = tx
    .sql('UPDATE mailboxes SET highest_modseq = highest_modseq + 1 WHERE id = ? RETURNING highest_modseq')
    .get(mailboxId)
  if (row === undefined) throw new Error('no such mailbox')
  return Number(row.highest_modseq)
}

/** Gives keywords the spelling the mailbox knows, and teaches it new ones while there is room. */
export function learnKeywords(tx: WriteTransaction, mailboxId: MailboxId, flags: FlagColumns): FlagColumns {
  const keywords = flags.keywords.flatMap((keyword) => {
    const find = tx.sql('SELECT keyword FROM mailbox_keywords WHERE mailbox_id = ? AND keyword = ?')
    const known = find.get(mailboxId, keyword)
    if (known !== undefined) return [String(known.keyword)]
    const count = tx.sql('SELECT count(*) AS count FROM mailbox_keywords WHERE mailbox_id = ?').get(mailboxId)
    if (Number(count?.count) >= MAX_KEYWORDS_PER_MAILBOX) return []
    tx.sql('INSERT INTO mailbox_keywords (mailbox_id, keyword) VALUES (?, ?)').run(mailboxId, keyword)
    return [keyword]
  })
  return { systemFlags: flags.systemFlags, keywords }
}

export interface FlagRow {
  readonly uid: number
  readonly modseq: number
  readonly system_flags: number
  readonly keywords: string
}

/**
 * Changes the flags of those of the UIDs that are there; announces those that really changed.
 * Returns all that are there, ascending.
 */
export function changeMessageFlags(
  tx: WriteTransaction,
  mailbox: MailboxRow,
  options: {
    readonly uids: readonly Uid[]
    /** Flags that may be set; the mailbox learns their keywords when one of the messages is there. */
    readonly flags: readonly Flag[]
    /** `given` are those flags in the spelling of the mailbox. */
    readonly apply: (current: FlagColumns, given: FlagColumns) => FlagColumns
  },
): MessageSummary[] {
  const rows = tx
    .sql(
      `SELECT uid, modseq, system_flags, keywords FROM messages
       WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?)) ORDER BY uid`,
    )
    .all(mailbox.id, JSON.stringify(options.uids)) as unknown as FlagRow[]
  if (rows.length === 0) return []
  const given = learnKeywords(tx, mailbox.id, toFlagColumns(options.flags))
  let modSeq: number | undefined
  return rows.map((row) => {
    const uid = row.uid as Uid
    const current = {
      systemFlags: row.system_flags,
      keywords: row.keywords === '' ? [] : row.keywords.split(' '),
    }
    const next = options.apply(current, given)
    const keywords = next.keywords.join(' ')
    if (next.systemFlags === row.system_flags && keywords === row.keywords) {
      return { uid, modSeq: row.modseq, flags: toFlags(row.system_flags, keywords) }
    }
    modSeq ??= nextModSeq(tx, mailbox.id)
    tx.sql(
      'UPDATE messages SET system_flags = ?, keywords = ?, modseq = ? WHERE mailbox_id = ? AND uid = ?',
    ).run(next.systemFlags, keywords, modSeq, mailbox.id, uid)
    const message = { uid, modSeq, flags: toFlags(next.systemFlags, keywords) }
    tx.change(mailbox.accountId, mailbox.id, { kind: 'flags', message })
    return message
  })
}

import type { MailboxOutcome, Uid } from '../imap/port.ts'
import { releaseBlob } from './blob-rows.ts'
import type { AccountId } from './ids.ts'
import {
  DEFAULT_MAILBOXES,
  INBOX,
  isBelow,
  isDefaultMailbox,
  MAX_MAILBOXES,
  MAX_SUBSCRIPTIONS,
  normalizeName,
  validateName,
} from './mailbox-names.ts'
import {
  findName,
  insertMailbox,
  insertParents,
  type MailboxRow,
  namesBelow,
  nextUidValidity,
} from './mailbox-rows.ts'
import { allUids, copyMessages, deleteMessages } from './message-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { announceRemoval } from './removal-listeners.ts'

const OK: MailboxOutcome = { kind: 'ok' }
const NO_SUCH_MAILBOX: MailboxOutcome = { kind: 'no-such-mailbox' }
const ALREADY_EXISTS: MailboxOutcome = { kind: 'already-exists' }

interface NamedMailbox {
  readonly accountId: AccountId
  readonly name: string
}

/** The mailboxes every account has, all subscribed (design 11). */
export function insertDefaultMailboxes(tx: WriteTransaction, accountId: AccountId): void {
  for (const { name, specialUse } of DEFAULT_MAILBOXES) {
    insertMailbox(tx, { accountId, name, selectable: true, specialUse })
    tx.sql('INSERT INTO subscriptions (account_id, name) VALUES (?, ?)').run(accountId, name)
  }
}

export const mailboxOperations = {
  /** RFC 9051 6.3.4; a name that is only a parent becomes a mailbox, with a new UIDVALIDITY. */
  createMailbox(tx: WriteTransaction, args: NamedMailbox): MailboxOutcome {
    const valid = validateName(args.name)
    if (valid.kind === 'refused') return valid
    const existing = findName(tx, args.accountId, valid.name)
    if (existing?.selectable) return ALREADY_EXISTS
    if (existing !== undefined) {
      tx.sql(
        'UPDATE mailboxes SET selectable = 1, uid_validity = ?, uid_next = 1, highest_modseq = 1 WHERE id = ?',
      ).run(nextUidValidity(tx), existing.id)
      return OK
    }
    if (!hasRoomForMailboxes(tx, args.accountId)) {
      return { kind: 'refused', reason: `an account holds at most ${MAX_MAILBOXES} mailboxes` }
    }
    insertParents(tx, args.accountId, valid.name)
    insertMailbox(tx, { accountId: args.accountId, name: valid.name, selectable: true, specialUse: null })
    return OK
  },

  /** RFC 9051 6.3.5: with names below it only the messages go and the name stays as a parent. */
  deleteMailbox(tx: WriteTransaction, args: NamedMailbox): MailboxOutcome {
    const mailbox = findName(tx, args.accountId, args.name)
    if (mailbox === undefined) return NO_SUCH_MAILBOX
    if (isDefaultMailbox(mailbox.name)) return refused(`${mailbox.name} cannot be deleted`)
    const hasChildren = namesBelow(tx, mailbox).length > 0
    if (hasChildren && !mailbox.selectable) return refused(`${mailbox.name} has mailboxes below it`)
    removeMessages(tx, mailbox)
    if (hasChildren) keepAsParent(tx, mailbox)
    else tx.sql('DELETE FROM mailboxes WHERE id = ?').run(mailbox.id)
    if (mailbox.selectable) tx.change(args.accountId, mailbox.id, { kind: 'deleted' })
    return OK
  },

  /** RFC 9051 6.3.6: names below move along; INBOX gives its messages to the new mailbox and stays. */
  renameMailbox(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly from: string; readonly to: string },
  ): MailboxOutcome {
    const mailbox = findName(tx, args.accountId, args.from)
    if (mailbox === undefined) return NO_SUCH_MAILBOX
    const target = validateName(args.to)
    if (target.kind === 'refused') return target
    if (findName(tx, args.accountId, target.name) !== undefined) return ALREADY_EXISTS
    if (mailbox.name === INBOX) return renameInbox(tx, mailbox, target.name)
    if (isDefaultMailbox(mailbox.name)) return refused(`${mailbox.name} cannot be renamed`)
    if (isBelow(target.name, mailbox.name)) return refused('a mailbox cannot move below itself')
    return renameTree(tx, mailbox, target.name)
  },

  /** RFC 9051 6.3.7, 6.3.8: needs no mailbox of that name. */
  setSubscribed(tx: WriteTransaction, args: NamedMailbox & { readonly subscribed: boolean }): MailboxOutcome {
    if (!args.subscribed) {
      const name = normalizeName(args.name)
      tx.sql('DELETE FROM subscriptions WHERE account_id = ? AND name = ?').run(args.accountId, name)
      return OK
    }
    const valid = validateName(args.name)
    if (valid.kind === 'refused') return valid
    const row = tx.sql('SELECT count(*) AS count FROM subscriptions WHERE account_id = ?').get(args.accountId)
    if (Number(row?.count) >= MAX_SUBSCRIPTIONS) {
      return refused(`an account is subscribed to at most ${MAX_SUBSCRIPTIONS} names`)
    }
    tx.sql('INSERT OR IGNORE INTO subscriptions (account_id, name) VALUES (?, ?)').run(
      args.accountId,
      valid.name,
    )
    return OK
  },
}

function refused(reason: string): MailboxOutcome {
  return { kind: 'refused', reason }
}

function hasRoomForMailboxes(tx: WriteTransaction, accountId: AccountId): boolean {
  const row = tx.sql('SELECT count(*) AS count FROM mailboxes WHERE account_id = ?').get(accountId)
  return Number(row?.count) < MAX_MAILBOXES
}

/** Without EXPUNGEs: sessions that have the mailbox open are told that it is gone. */
function removeMessages(tx: WriteTransaction, mailbox: MailboxRow): void {
  const rows = tx
    .sql('DELETE FROM messages WHERE mailbox_id = ? RETURNING uid, blob_id')
    .all(mailbox.id) as unknown as { uid: number; blob_id: Uint8Array }[]
  for (const row of rows) releaseBlob(tx, row.blob_id)
  if (rows.length > 0)
    announceRemoval(
      tx,
      mailbox,
      rows.map((row) => row.uid as Uid),
    )
}

function keepAsParent(tx: WriteTransaction, mailbox: MailboxRow): void {
  tx.sql('DELETE FROM expunged_messages WHERE mailbox_id = ?').run(mailbox.id)
  tx.sql('DELETE FROM mailbox_keywords WHERE mailbox_id = ?').run(mailbox.id)
  tx.sql('UPDATE mailboxes SET selectable = 0 WHERE id = ?').run(mailbox.id)
}

function renameInbox(tx: WriteTransaction, inbox: MailboxRow, name: string): MailboxOutcome {
  insertParents(tx, inbox.accountId, name)
  insertMailbox(tx, { accountId: inbox.accountId, name, selectable: true, specialUse: null })
  const to = findName(tx, inbox.accountId, name)
  if (to === undefined) throw new Error('the mailbox just made is not there')
  const uids = allUids(tx, inbox)
  copyMessages(tx, { from: inbox, to, uids })
  deleteMessages(tx, inbox, uids)
  return OK
}

function renameTree(tx: WriteTransaction, mailbox: MailboxRow, name: string): MailboxOutcome {
  const below = namesBelow(tx, mailbox)
  const renamed = [mailbox, ...below].map((row) => ({
    id: row.id,
    name: name + row.name.slice(mailbox.name.length),
  }))
  for (const row of renamed) {
    const valid = validateName(row.name)
    if (valid.kind === 'refused') return valid
  }
  insertParents(tx, mailbox.accountId, name)
  for (const row of renamed) tx.sql('UPDATE mailboxes SET name = ? WHERE id = ?').run(row.name, row.id)
  return OK
}

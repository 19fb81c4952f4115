import type { SpecialUse } from '../imap/port.ts'
import type { AccountId, MailboxId } from './ids.ts'
import { normalizeName, parentNames } from './mailbox-names.ts'
import type { WriteTransaction } from './operation.ts'

/** Rows of `mailboxes` inside the writer. */

export interface MailboxRow {
  readonly id: MailboxId
  readonly accountId: AccountId
  readonly name: string
  readonly selectable: boolean
  readonly uidValidity: number
}

const COLUMNS = 'id, account_id, name, selectable, uid_validity'

interface RawRow {
  readonly id: number
  readonly account_id: number
  readonly name: string
  readonly selectable: number
  readonly uid_validity: number
}

function toMailboxRow(raw: unknown): MailboxRow {
  const { id, account_id, name, selectable, uid_validity } = raw as RawRow
  return {
    id: id as MailboxId,
    accountId: account_id,
    name,
    selectable: selectable === 1,
    uidValidity: uid_validity,
  }
}

/** The mailbox or parent of that name. */
export function findName(tx: WriteTransaction, accountId: AccountId, name: string): MailboxRow | undefined {
  const row = tx
    .sql(`SELECT ${COLUMNS} FROM mailboxes WHERE account_id = ? AND name = ?`)
    .get(accountId, normalizeName(name))
  return row === undefined ? undefined : toMailboxRow(row)
}

/** The selectable mailbox of that name; undefined for a parent only. */
export function findMailbox(
  tx: WriteTransaction,
  accountId: AccountId,
  name: string,
): MailboxRow | undefined {
  const row = findName(tx, accountId, name)
  return row?.selectable ? row : undefined
}

/** The selectable mailbox of that id, while it is there. */
export function mailboxById(tx: WriteTransaction, mailboxId: MailboxId): MailboxRow | undefined {
  const row = tx.sql(`SELECT ${COLUMNS} FROM mailboxes WHERE id = ? AND selectable = 1`).get(mailboxId)
  return row === undefined ? undefined : toMailboxRow(row)
}

/** Names below it, in order. */
export function namesBelow(tx: WriteTransaction, mailbox: MailboxRow): MailboxRow[] {
  // '0' is the character after '/': everything between lies below.
  return tx
    .sql(`SELECT ${COLUMNS} FROM mailboxes WHERE account_id = ? AND name > ? AND name < ? ORDER BY name`)
    .all(mailbox.accountId, `${mailbox.name}/`, `${mailbox.name}0`)
    .map(toMailboxRow)
}

export interface NewMailbox {
  readonly accountId: AccountId
  readonly name: string
  readonly selectable: boolean
  readonly specialUse: SpecialUse | null
}

/** Adds the row with a UIDVALIDITY that no mailbox ever had. */
export function insertMailbox(tx: WriteTransaction, mailbox: NewMailbox): MailboxId {
  const { lastInsertRowid } = tx
    .sql(
      'INSERT INTO mailboxes (account_id, name, special_use, selectable, uid_validity) VALUES (?, ?, ?, ?, ?)',
    )
    .run(mailbox.accountId, mailbox.name, mailbox.specialUse, mailbox.selectable ? 1 : 0, nextUidValidity(tx))
  return Number(lastInsertRowid) as MailboxId
}

/** Makes the names above it that are missing, as parents only (RFC 9051 6.3.4). */
export function insertParents(tx: WriteTransaction, accountId: AccountId, name: string): void {
  for (const parent of parentNames(name)) {
    if (findName(tx, accountId, parent) === undefined) {
      insertMailbox(tx, { accountId, name: parent, selectable: false, specialUse: null })
    }
  }
}

/**
 * RFC 9051 2.3.1.1: a 32-bit number, never given out twice. Derived from the time, so that it is larger than any of an
 * older copy of this database; counted up when several are made in a second.
 */
export function nextUidValidity(tx: WriteTransaction): number {
  const row = tx
    .sql(
      "UPDATE counters SET value = max(value + 1, ?) WHERE name = 'uid_validity' RETURNING value AS uid_validity",
    )
    .get(Math.floor(tx.nowMs / 1000))
  return Number(row?.uid_validity)
}

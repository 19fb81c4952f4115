import type { KeyId } from '../cm/ids.ts'
import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'
import { open, seal } from './vault.ts'

/** Rows of `bypass_secrets`: tokens that spare senders the full proof of work (CM wire 6). */

/** `issued`: ours, which others use with us; `received`: others', which we use with them. */
export type BypassDirection = 'issued' | 'received'

/** A secret to be kept; plain data, never logged. */
export interface NewBypassSecret {
  readonly direction: BypassDirection
  /** Whom it was issued to, or whose it is. */
  readonly keyId: KeyId
  /** 20 octets. */
  readonly secret: Uint8Array
  /** CM date as it stood in the message or file. */
  readonly created: string
  /** CM date, or `never`. */
  readonly expires: string
}

/** What is written into the ACK file of one recipient. */
export interface IssuedBypassSecret {
  readonly keyId: KeyId
  /** 40 hex; upper case when it has to take the place of one that we lost. */
  readonly secret: string
  readonly created: string
  readonly expires: string
}

/**
 * Secrets of one direction and key: an honest peer sends one for ever. A hostile one may send a new one in every message;
 * of received ones the oldest makes room, of issued ones none is ever forgotten in favour of another.
 */
const MAX_SECRETS_PER_KEY = 16

interface Row {
  readonly id: Uint8Array
  readonly sealed_secret: Uint8Array
  readonly created: string
  readonly expires: string
  readonly replaced_ms: number | null
}

function rowsOf(
  tx: WriteTransaction,
  accountId: AccountId,
  of: Pick<NewBypassSecret, 'direction' | 'keyId'>,
) {
  return tx
    .sql(
      `SELECT id, sealed_secret, created, expires, replaced_ms FROM bypass_secrets
       WHERE account_id = ? AND direction = ? AND key_id = ? ORDER BY stored_ms DESC, created DESC`,
    )
    .all(accountId, of.direction, of.keyId) as unknown as Row[]
}

function secretOf(accountId: AccountId, row: Row): string {
  const bytes = open({ accountId, rowId: row.id, purpose: 'bypass-secret' }, row.sealed_secret)
  return Buffer.from(bytes).toString('hex')
}

function insert(
  tx: WriteTransaction,
  accountId: AccountId,
  given: NewBypassSecret & { readonly replacedMs: number | null },
): void {
  const id = tx.randomId()
  tx.sql(
    `INSERT INTO bypass_secrets (id, account_id, direction, key_id, sealed_secret, created, expires, stored_ms, replaced_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    id,
    accountId,
    given.direction,
    given.keyId,
    seal({ accountId, rowId: id, purpose: 'bypass-secret' }, given.secret),
    given.created,
    given.expires,
    tx.nowMs,
    given.replacedMs,
  )
}

/**
 * Keeps a secret once per key. One that comes again counts as confirmed now: its issuer still has it, so what was sent
 * with it and never acknowledged no longer speaks against it.
 */
export function keepBypassSecret(tx: WriteTransaction, accountId: AccountId, given: NewBypassSecret): void {
  const rows = rowsOf(tx, accountId, given)
  const secret = Buffer.from(given.secret).toString('hex')
  const known = rows.find((row) => secretOf(accountId, row) === secret)
  if (known !== undefined) {
    if (given.direction === 'received') {
      tx.sql('UPDATE bypass_secrets SET stored_ms = ?, doubted_ms = NULL WHERE id = ?').run(
        tx.nowMs,
        known.id,
      )
    }
    return
  }
  const oldest = rows.at(-1)
  if (rows.length >= MAX_SECRETS_PER_KEY && oldest !== undefined) {
    if (given.direction === 'issued') return
    tx.sql('DELETE FROM bypass_secrets WHERE id = ?').run(oldest.id)
  }
  insert(tx, accountId, { ...given, replacedMs: null })
}

/** Remembers, longer than the messages, that nothing came back of what was sent with it (CM wire 6). */
export function doubtBypassSecret(tx: WriteTransaction, id: Uint8Array): void {
  tx.sql('UPDATE bypass_secrets SET doubted_ms = ? WHERE id = ?').run(tx.nowMs, id)
}

interface Wanted {
  readonly keyId: KeyId
  /** 20 random octets: becomes the secret when the key has none. */
  readonly secret: Uint8Array
}

export const bypassOperations = {
  /**
   * The secret each key is given from now on: the last one issued to it, else the proposed one; durable when this returns.
   * It is never changed while it works, because a reference client keeps the first it gets (CM message 4.4). Only when a
   * key that signed its mail used one we do not know, another is sent, once, in the spelling that client takes.
   */
  issueBypassSecrets(
    tx: WriteTransaction,
    args: {
      readonly accountId: AccountId
      readonly wanted: readonly Wanted[]
      /** CM dates: when a new one begins, and now. */
      readonly created: string
      readonly now: string
    },
  ): readonly IssuedBypassSecret[] {
    return args.wanted.map((wanted) => issue(tx, { ...args, wanted }))
  },

  /** Keeps secrets that came from a file or from another client of the same account. */
  keepBypassSecrets(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly secrets: readonly NewBypassSecret[] },
  ): void {
    for (const secret of args.secrets) keepBypassSecret(tx, args.accountId, secret)
  },
}

interface Issue {
  readonly accountId: AccountId
  readonly wanted: Wanted
  readonly created: string
  readonly now: string
}

function issue(tx: WriteTransaction, { accountId, wanted, created, now }: Issue): IssuedBypassSecret {
  const { keyId } = wanted
  const issued = rowsOf(tx, accountId, { direction: 'issued', keyId })
  const usable = issued.filter(({ expires }) => expires === 'never' || expires > now)
  const lostMs = lastUnknownToken(tx, accountId, keyId)
  if (lostMs !== undefined) {
    const replacement = usable.find((row) => row.replaced_ms !== null)
    if (replacement === undefined) {
      insert(tx, accountId, { ...fresh(wanted, created), replacedMs: tx.nowMs })
      return { keyId, secret: hex(wanted.secret).toUpperCase(), created, expires: 'never' }
    }
    if (lostMs > (replacement.replaced_ms ?? 0)) {
      tx.sql('UPDATE bypass_secrets SET replaced_ms = ? WHERE id = ?').run(tx.nowMs, replacement.id)
      const given = toIssued(accountId, keyId, replacement)
      return { ...given, secret: given.secret.toUpperCase() }
    }
  }
  const [last] = usable
  if (last !== undefined) return toIssued(accountId, keyId, last)
  insert(tx, accountId, { ...fresh(wanted, created), replacedMs: null })
  return { keyId, secret: hex(wanted.secret), created, expires: 'never' }
}

function fresh({ keyId, secret }: Wanted, created: string): NewBypassSecret {
  return { direction: 'issued', keyId, secret, created, expires: 'never' }
}

function toIssued(accountId: AccountId, keyId: KeyId, row: Row): IssuedBypassSecret {
  return { keyId, secret: secretOf(accountId, row), created: row.created, expires: row.expires }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** When a message signed by that key last came with a token we do not know. */
function lastUnknownToken(tx: WriteTransaction, accountId: AccountId, keyId: KeyId): number | undefined {
  const row = tx
    .sql(
      'SELECT max(seen_ms) AS seen_ms FROM inbound_announcements WHERE account_id = ? AND unknown_token_from = ?',
    )
    .get(accountId, keyId)
  return typeof row?.seen_ms === 'number' ? row.seen_ms : undefined
}

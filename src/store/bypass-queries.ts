import { duration } from '../base/clock.ts'
import type { KeyId } from '../cm/ids.ts'
import type { BypassDirection } from './bypass-operations.ts'
import type { AccountId } from './ids.ts'
import type { ReadConnection } from './read-connection.ts'
import { open } from './vault.ts'

/** A kept bypass secret (CM wire 6), opened: never logged. */
export interface StoredBypassSecret {
  readonly id: Uint8Array
  /** Whom it was issued to, or whose it is. */
  readonly keyId: KeyId
  /** 40 hex, lower case. */
  readonly secret: string
  /** CM date as it stood in the message or file. */
  readonly created: string
  /** CM date, or `never`. */
  readonly expires: string
}

interface Row {
  readonly id: Uint8Array
  readonly account_id: AccountId
  readonly key_id: KeyId
  readonly sealed_secret: Uint8Array
  readonly created: string
  readonly expires: string
}

const COLUMNS = 'id, account_id, key_id, sealed_secret, created, expires'

function toSecret(row: Row): StoredBypassSecret {
  const bytes = open(
    { accountId: row.account_id, rowId: row.id, purpose: 'bypass-secret' },
    row.sealed_secret,
  )
  const { id, key_id: keyId, created, expires } = row
  return { id, keyId, secret: Buffer.from(bytes).toString('hex'), created, expires }
}

/** Secrets of one direction, all keys or one, in the order they were stored. */
export function bypassSecrets(
  read: ReadConnection,
  accountId: AccountId,
  of: { readonly direction: BypassDirection; readonly keyId?: KeyId },
): StoredBypassSecret[] {
  return read
    .all<Row>(
      `SELECT ${COLUMNS} FROM bypass_secrets
       WHERE account_id = ?1 AND direction = ?2 AND (?3 IS NULL OR key_id = ?3) ORDER BY stored_ms, created`,
      accountId,
      of.direction,
      of.keyId ?? null,
    )
    .map(toSecret)
}

/**
 * The secret that was issued to a key last and is given to it again; undefined when one has to be made, or given in the
 * place of a lost one: then `issueBypassSecrets` says.
 */
export function settledIssuedSecret(
  read: ReadConnection,
  accountId: AccountId,
  given: { readonly keyId: KeyId; readonly now: string },
): StoredBypassSecret | undefined {
  const { keyId, now } = given
  const lost = read.get(
    'SELECT 1 FROM inbound_announcements WHERE account_id = ? AND unknown_token_from = ? LIMIT 1',
    accountId,
    keyId,
  )
  if (lost !== undefined) return undefined
  const issued = bypassSecrets(read, accountId, { direction: 'issued', keyId })
  return issued.findLast(({ expires }) => expires === 'never' || expires > now)
}

/** The secret an announcement to this recipient was made with; undefined when it has none, or it is gone. */
export function bypassSecretOfRecipient(
  read: ReadConnection,
  recipientId: number,
): StoredBypassSecret | undefined {
  const row = read.get<Row>(
    `SELECT ${COLUMNS} FROM bypass_secrets WHERE id = (SELECT bypass_secret_id FROM outbound_recipients WHERE id = ?)`,
    recipientId,
  )
  return row === undefined ? undefined : toSecret(row)
}

/** Create time of the oldest secret the account has issued, expired ones included (CM wire 6). */
export function oldestIssuedDate(read: ReadConnection, accountId: AccountId): string | undefined {
  const row = read.get<{ readonly created: string | null }>(
    `SELECT min(created) AS created FROM bypass_secrets WHERE account_id = ? AND direction = 'issued'`,
    accountId,
  )
  return row?.created ?? undefined
}

/** A message sent with a token and not acknowledged for so long may have been dropped for it. */
const DOUBT_AFTER_MS = duration.day

/**
 * True when a received secret may not work any more: a message sent with it is unacknowledged for a day and none sent with
 * it later was acknowledged, or it was given up unacknowledged; and its issuer has not sent the secret again since.
 */
export function isBypassSecretInDoubt(
  read: ReadConnection,
  secretId: Uint8Array,
  options: { readonly nowMs: number },
): boolean {
  const found = read.get(
    `SELECT 1 FROM bypass_secrets WHERE id = ?1 AND doubted_ms IS NOT NULL UNION ALL
     SELECT 1 FROM outbound_recipients AS sent JOIN bypass_secrets ON bypass_secrets.id = sent.bypass_secret_id
     WHERE sent.bypass_secret_id = ?1 AND sent.state IN ('posted', 'unconfirmed')
       AND sent.posted_ms <= ?2 AND sent.posted_ms > bypass_secrets.stored_ms
       AND NOT EXISTS (SELECT 1 FROM outbound_recipients AS later
         WHERE later.bypass_secret_id = ?1 AND later.state = 'acknowledged' AND later.posted_ms >= sent.posted_ms)`,
    secretId,
    options.nowMs - DOUBT_AFTER_MS,
  )
  return found !== undefined
}

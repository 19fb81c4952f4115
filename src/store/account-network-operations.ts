import {
  type AccountServers,
  changeDemand,
  changeServers,
  type ServerPlace,
  type ServersChange,
  type ServersRefusal,
} from './account-network.ts'
import type { SealedValue } from './account-operations.ts'
import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'
import { workOperations } from './work-operations.ts'
import { type DueWork, endWork, holdsLease, type Lease, scheduleWork } from './work-rows.ts'

/** What `account set` may give; undefined leaves it as it is. */
export interface AccountChange extends ServersChange {
  readonly displayName?: string | undefined
  /** 2, 4, 8 or 16. */
  readonly mailboxCount?: number | undefined
  /** 24, 32, 36 or 40. */
  readonly costBits?: number | undefined
  readonly usesBypassTokens?: boolean | undefined
  readonly appliesFolderSync?: boolean | undefined
  /** 0: never. */
  readonly rotateDays?: number | undefined
}

/** `due`: rows to enqueue, so that a running bridge announces and polls at once. */
export type AccountChangeOutcome =
  | { readonly kind: 'ok'; readonly due: readonly DueWork[] }
  | { readonly kind: 'no-such-account' }
  | ServersRefusal

/** The work rows of an account that never end. */
export function pollRow(accountId: AccountId): string {
  return `poll${accountId}`
}

/** There while the account has old servers. */
export function oldPollRow(accountId: AccountId): string {
  return `oldpoll${accountId}`
}

/** The row that keeps the key announced. */
export function announceRow(accountId: AccountId): string {
  return `announce${accountId}`
}

type Row = Readonly<Record<string, unknown>>

export const accountNetworkOperations = {
  /**
   * Changes settings of an account, all or none, by the rules of account-network.ts; what its network must hear is
   * announced at once, and its servers are looked at in full.
   */
  changeAccount(
    tx: WriteTransaction,
    args: { readonly accountId: AccountId; readonly change: AccountChange },
  ): AccountChangeOutcome {
    const { accountId, change } = args
    const row = tx.sql('SELECT * FROM accounts WHERE id = ?').get(accountId)
    if (row === undefined) return { kind: 'no-such-account' }
    const before = serversOf(row)
    const changed = changeServers(before, change, tx.nowMs)
    if (changed.kind !== 'ok') return changed
    writeServers(tx, accountId, changed.servers)
    writeDemand(tx, accountId, { row, change })
    tx.sql(
      `UPDATE accounts SET display_name = ?2, uses_bypass_tokens = ?3, applies_folder_sync = ?4, rotate_days = ?5
       WHERE id = ?1`,
    ).run(
      accountId,
      change.displayName ?? String(row.display_name),
      truth(change.usesBypassTokens, row.uses_bypass_tokens),
      truth(change.appliesFolderSync, row.applies_folder_sync),
      change.rotateDays ?? Number(row.rotate_days),
    )
    forgetPolls(tx, accountId, { before, after: changed.servers })
    return { kind: 'ok', due: wakeRows(tx, accountId, changed.servers) }
  },

  /** The time of the servers the account left is over: they are forgotten, with their key; unless it was prolonged. */
  endOldServers(
    tx: WriteTransaction,
    args: { readonly lease: Lease; readonly accountId: AccountId },
  ): readonly DueWork[] | undefined {
    const { lease, accountId } = args
    if (!holdsLease(tx, lease)) return undefined
    const prolonged = tx.sql('SELECT 1 FROM accounts WHERE id = ? AND old_until_ms > ?')
    if (prolonged.get(accountId, tx.nowMs) !== undefined) {
      return [scheduleWork(tx, { row: lease.row, accountId, stage: 'pollold', delayMs: 0 })]
    }
    endWork(tx, lease.row)
    tx.sql(
      `UPDATE accounts SET old_servers = '[]', old_auth_key_id = NULL, sealed_old_auth_key = NULL, old_until_ms = NULL
       WHERE id = ?`,
    ).run(accountId)
    return []
  },
}

function serversOf(row: Row): AccountServers {
  const old = placeOf(row.old_servers, row.old_auth_key_id, row.sealed_old_auth_key)
  return {
    own: placeOf(row.servers, row.auth_key_id, row.sealed_auth_key),
    old: row.old_until_ms === null ? undefined : { ...old, untilMs: Number(row.old_until_ms) },
    publish: placeOf(row.publish_servers, row.publish_auth_key_id, row.sealed_publish_auth_key),
  }
}

function placeOf(servers: unknown, id: unknown, sealed: unknown): ServerPlace {
  const authKey: SealedValue | null =
    id instanceof Uint8Array && sealed instanceof Uint8Array ? { id, sealed } : null
  return { servers: JSON.parse(String(servers)) as string[], authKey }
}

function writeServers(
  tx: WriteTransaction,
  accountId: AccountId,
  { own, old, publish }: AccountServers,
): void {
  tx.sql(
    `UPDATE accounts SET servers = ?, auth_key_id = ?, sealed_auth_key = ?, old_servers = ?, old_auth_key_id = ?,
       sealed_old_auth_key = ?, old_until_ms = ?, publish_servers = ?, publish_auth_key_id = ?,
       sealed_publish_auth_key = ? WHERE id = ?`,
  ).run(
    JSON.stringify(own.servers),
    own.authKey?.id ?? null,
    own.authKey?.sealed ?? null,
    JSON.stringify(old?.servers ?? []),
    old?.authKey?.id ?? null,
    old?.authKey?.sealed ?? null,
    old?.untilMs ?? null,
    JSON.stringify(publish.servers),
    publish.authKey?.id ?? null,
    publish.authKey?.sealed ?? null,
    accountId,
  )
}

function writeDemand(
  tx: WriteTransaction,
  accountId: AccountId,
  { row, change }: { readonly row: Row; readonly change: AccountChange },
): void {
  const before = { mailboxCount: Number(row.mailbox_count), costBits: Number(row.cost_bits) }
  const previous =
    row.previous_until_ms === null
      ? undefined
      : {
          mailboxCount: Number(row.previous_mailbox_count ?? before.mailboxCount),
          costBits: Number(row.previous_cost_bits ?? before.costBits),
          untilMs: Number(row.previous_until_ms),
        }
  const demand = changeDemand({ ...before, previous }, change, tx.nowMs)
  tx.sql(
    `UPDATE accounts SET mailbox_count = ?, cost_bits = ?, previous_mailbox_count = ?, previous_cost_bits = ?,
       previous_until_ms = ? WHERE id = ?`,
  ).run(
    demand.mailboxCount,
    demand.costBits,
    demand.previous?.mailboxCount ?? null,
    demand.previous?.costBits ?? null,
    demand.previous?.untilMs ?? null,
    accountId,
  )
}

function truth(given: boolean | undefined, before: unknown): number {
  return given === undefined ? Number(before) : Number(given)
}

/** Servers that are new to the account are asked for everything they have. */
function forgetPolls(
  tx: WriteTransaction,
  accountId: AccountId,
  { before, after }: { readonly before: AccountServers; readonly after: AccountServers },
): void {
  if (JSON.stringify(before.own.servers) !== JSON.stringify(after.own.servers)) {
    tx.sql('UPDATE polls SET succeeded_ms = NULL, full_ms = NULL WHERE account_id = ?').run(accountId)
  }
  if (JSON.stringify(before.old?.servers) !== JSON.stringify(after.old?.servers)) {
    tx.sql('UPDATE polls SET old_succeeded_ms = NULL, old_full_ms = NULL WHERE account_id = ?').run(accountId)
  }
}

function wakeRows(tx: WriteTransaction, accountId: AccountId, { old }: AccountServers): DueWork[] {
  if (old !== undefined) {
    workOperations.ensureWork(tx, { row: oldPollRow(accountId), accountId, stage: 'pollold' })
  }
  // Rows that are not there yet are made when the bridge starts.
  return [announceRow(accountId), pollRow(accountId), oldPollRow(accountId)]
    .map((row) => workOperations.wakeWork(tx, { row }))
    .filter((due) => due !== undefined)
}

import { createHash } from 'node:crypto'
import type { SQLOutputValue } from 'node:sqlite'
import type { RememberedCertificate } from '../cm/port.ts'
import type { ProxiedItem, QueueRoom, ReplicaOfUpload, Retry } from '../cm/server/relay/queue-port.ts'
import type { WriteTransaction } from './operation.ts'

/** What the writes of the relay need of a transaction. */
export type RelayTransaction = Pick<WriteTransaction, 'sql'>

/** One block of STORE PROXY; its payload in one of the two forms, or in none. */
export interface AddProxiedArgs {
  readonly item: ProxiedItem
  /** A small payload. */
  readonly payload: Uint8Array | null
  /** The name of a larger one in the relay directory. */
  readonly payloadFile: string | null
  readonly room: QueueRoom
}

/** Names of payload files no row names any more; they are removed after the commit. */
type FreedFiles = readonly string[]

/** Queues an accepted upload for the peer, in the transaction that stores it (CM wire 9.3). */
export function queueReplica(tx: RelayTransaction, { type, key, userId, text }: ReplicaOfUpload): void {
  const digest = createHash('sha256')
    .update(JSON.stringify([type, key, userId, text]))
    .digest()
  tx.sql(
    'INSERT INTO replicas (digest, type, key, user_id, text) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  ).run(digest, type, key, userId, text)
}

/** Queues a changed account for the peer, in the transaction that changes it; the key sealed under `rowKey`. */
export function queueAccount(
  tx: RelayTransaction,
  account: { readonly userId: string; readonly rowKey: Uint8Array; readonly sealedAuthKey: Uint8Array },
): void {
  tx.sql(`INSERT INTO replicas (user_id, text, row_key, sealed_auth_key) VALUES (?, '', ?, ?)`).run(
    account.userId,
    account.rowKey,
    account.sealedAuthKey,
  )
}

/** Writes of the relay by name; each is run whole in one transaction. */
export const relayOperations = {
  relayAddProxied(tx: RelayTransaction, args: AddProxiedArgs): 'queued' | 'known' | 'full' {
    const { item } = args
    const digest = digestOf(item)
    const known = tx.sql('SELECT item_id FROM relay_items WHERE digest = ?').get(digest)
    if (known !== undefined) {
      insertDeliveries(tx, Number(known.item_id), item)
      return 'known'
    }
    const bytes = Buffer.byteLength(item.text) + (item.payload?.bytes ?? 0)
    if (!hasRoom(tx, { item, bytes }, args.room)) return 'full'
    insertDeliveries(tx, insertItem(tx, args, { digest, bytes }), item)
    return 'queued'
  },

  /** With its last target the item goes. */
  relayDelivered(
    tx: RelayTransaction,
    { itemId, target }: { readonly itemId: number; readonly target: string },
  ): FreedFiles {
    tx.sql('DELETE FROM relay_deliveries WHERE item_id = ? AND target = ?').run(itemId, target)
    return freed(
      tx
        .sql(
          `DELETE FROM relay_items WHERE item_id = ?1
           AND NOT EXISTS (SELECT 1 FROM relay_deliveries WHERE item_id = ?1) RETURNING payload_file`,
        )
        .all(itemId),
    )
  },

  relayDelay(
    tx: RelayTransaction,
    { itemId, target, retry }: { readonly itemId: number; readonly target: string; readonly retry: Retry },
  ): void {
    tx.sql('UPDATE relay_deliveries SET failures = ?, next_ms = ? WHERE item_id = ? AND target = ?').run(
      retry.failures,
      retry.nextMs,
      itemId,
      target,
    )
  },

  /** Items that are over, and the retry state of targets nothing waits for any more. */
  relayExpire(
    tx: RelayTransaction,
    { nowMs }: { readonly nowMs: number },
  ): { readonly count: number; readonly files: FreedFiles } {
    const gone = tx.sql('DELETE FROM relay_items WHERE expires_ms <= ? RETURNING payload_file').all(nowMs)
    if (gone.length > 0) {
      tx.sql(
        `DELETE FROM relay_targets WHERE target LIKE 'server=%'
         AND NOT EXISTS (SELECT 1 FROM relay_deliveries WHERE relay_deliveries.target = relay_targets.target)`,
      ).run()
    }
    return { count: gone.length, files: freed(gone) }
  },

  relayTargetRetry(
    tx: RelayTransaction,
    { target, retry }: { readonly target: string; readonly retry: Retry },
  ): void {
    if (retry.failures === 0) tx.sql('DELETE FROM relay_targets WHERE target = ?').run(target)
    else
      tx.sql('INSERT OR REPLACE INTO relay_targets (target, failures, next_ms) VALUES (?, ?, ?)').run(
        target,
        retry.failures,
        retry.nextMs,
      )
  },

  relayRemoveReplica(tx: RelayTransaction, { id }: { readonly id: number }): void {
    // SQLite leaves what it deletes in the file until the place is needed.
    tx.sql('UPDATE replicas SET sealed_auth_key = zeroblob(length(sealed_auth_key)) WHERE id = ?').run(id)
    tx.sql('DELETE FROM replicas WHERE id = ?').run(id)
  },

  relayDelayReplica(
    tx: RelayTransaction,
    { id, retry }: { readonly id: number; readonly retry: Retry },
  ): void {
    tx.sql('UPDATE replicas SET failures = ?, next_ms = ? WHERE id = ?').run(retry.failures, retry.nextMs, id)
  },

  relayKeepCertificate(
    tx: RelayTransaction,
    args: {
      readonly hostPort: string
      readonly certificate: RememberedCertificate
      readonly mayReplace: boolean
    },
  ): void {
    const { sha256, description, firstSeenMs } = args.certificate
    tx.sql(
      `INSERT INTO relay_certificates (host_port, sha256, description, first_seen_ms) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT (host_port) DO UPDATE SET sha256 = ?2, description = ?3, first_seen_ms = ?4 WHERE ?5`,
    ).run(args.hostPort, sha256, description, firstSeenMs, Number(args.mayReplace))
  },

  relaySetReplicaAside(tx: RelayTransaction, { id }: { readonly id: number }): void {
    tx.sql('UPDATE replicas SET is_set_aside = 1 WHERE id = ?').run(id)
  },
}

function insertItem(
  tx: RelayTransaction,
  { item, payload, payloadFile }: AddProxiedArgs,
  { digest, bytes }: { readonly digest: Uint8Array; readonly bytes: number },
): number {
  const { lastInsertRowid } = tx
    .sql(
      `INSERT INTO relay_items (digest, key, user_id, is_data, text, payload, payload_file, payload_bytes, bytes,
         targets, expires_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      digest,
      item.key,
      item.userId,
      Number(item.isData),
      item.text,
      payload,
      payloadFile,
      item.payload?.bytes ?? 0,
      bytes,
      item.targets.length,
      item.expiresMs,
    )
  return Number(lastInsertRowid)
}

function insertDeliveries(
  tx: RelayTransaction,
  itemId: number,
  { targets, isData, releaseMs }: ProxiedItem,
): void {
  const insert = tx.sql(
    `INSERT INTO relay_deliveries (item_id, target, is_data, failures, next_ms) VALUES (?, ?, ?, 0, ?)
     ON CONFLICT DO NOTHING`,
  )
  for (const target of targets) insert.run(itemId, target, Number(isData), releaseMs)
}

function hasRoom(
  tx: RelayTransaction,
  { item, bytes }: { readonly item: ProxiedItem; readonly bytes: number },
  room: QueueRoom,
): boolean {
  const sums =
    'SELECT coalesce(sum(bytes), 0) AS bytes, coalesce(sum(targets), 0) AS deliveries FROM relay_items'
  const all = tx.sql(sums).get()
  const own = tx.sql(`${sums} WHERE user_id = ?`).get(item.userId)
  return (
    Number(all?.bytes) + bytes <= room.bytes &&
    Number(all?.deliveries) + item.targets.length <= room.deliveries &&
    Number(own?.bytes) + bytes <= room.bytesPerUser &&
    Number(own?.deliveries) + item.targets.length <= room.deliveriesPerUser
  )
}

/** What makes it the same item; `releaseMs` of a block without AFTER is the time it came, which does not. */
function digestOf({ key, userId, text, afterMs }: ProxiedItem): Uint8Array {
  return createHash('sha256')
    .update(JSON.stringify([key, userId, text, afterMs ?? null]))
    .digest()
}

function freed(rows: readonly Readonly<Record<string, SQLOutputValue>>[]): FreedFiles {
  return rows.flatMap(({ payload_file: name }) => (typeof name === 'string' ? [name] : []))
}

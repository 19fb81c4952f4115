import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { Secret } from '../base/secret.ts'
import type { BlockKey } from '../cm/ids.ts'
import type { BlockType } from '../cm/server/port.ts'
import type { ReplicaEntry, ReplicaQueue, Retry } from '../cm/server/relay/queue-port.ts'
import type { RelayStorage } from './cm-relay.ts'
import { ROW_ID_BYTES } from './ids.ts'
import { open, type SealContext, seal } from './vault.ts'

/** The server itself: no account of the bridge has this id. */
const SERVER_ACCOUNT_ID = 0

/** What waits for the peer, in the order of its arrival (CM wire 9.3). */
export class CmRelayReplicas implements ReplicaQueue {
  readonly #database: DatabaseSync
  readonly #storage: RelayStorage

  constructor(storage: RelayStorage) {
    this.#database = storage.database
    this.#storage = storage
  }

  after(afterId: number, limit: number): readonly ReplicaEntry[] {
    return this.#database
      .prepare('SELECT * FROM replicas WHERE id > ? AND is_set_aside = 0 ORDER BY id LIMIT ?')
      .all(afterId, limit)
      .map(entryOf)
  }

  remove(id: number): Promise<void> {
    return this.#storage.write('relayRemoveReplica', { id })
  }

  delay(id: number, retry: Retry): Promise<void> {
    return this.#storage.write('relayDelayReplica', { id, retry })
  }

  setAside(id: number): Promise<void> {
    return this.#storage.write('relaySetReplicaAside', { id })
  }

  hasDue(nowMs: number): boolean {
    const statement = 'SELECT 1 FROM replicas WHERE is_set_aside = 0 AND next_ms <= ? LIMIT 1'
    return this.#database.prepare(statement).get(nowMs) !== undefined
  }

  nextDueMs(nowMs: number): number | undefined {
    const row = this.#database
      .prepare('SELECT min(next_ms) AS due_ms FROM replicas WHERE is_set_aside = 0 AND next_ms > ?')
      .get(nowMs)
    return typeof row?.due_ms === 'number' ? row.due_ms : undefined
  }
}

function entryOf(row: Readonly<Record<string, SQLOutputValue>>): ReplicaEntry {
  const common = {
    id: Number(row.id),
    failures: Number(row.failures),
    nextMs: Number(row.next_ms),
    userId: String(row.user_id),
  }
  if (row.row_key instanceof Uint8Array && row.sealed_auth_key instanceof Uint8Array) {
    const authKey = Buffer.from(open(sealContext(row.row_key), row.sealed_auth_key)).toString('utf8')
    return { ...common, kind: 'account', authKey: new Secret(authKey) }
  }
  const block = { type: row.type as BlockType, key: String(row.key) as BlockKey, text: String(row.text) }
  return { ...common, kind: 'block', ...block }
}

/** An auth key as it waits for the peer. */
export function sealAuthKey(
  authKey: Secret<string>,
  randomBytes: (count: number) => Uint8Array,
): { readonly rowKey: Uint8Array; readonly sealedAuthKey: Uint8Array } {
  const rowKey = randomBytes(ROW_ID_BYTES)
  return { rowKey, sealedAuthKey: seal(sealContext(rowKey), Buffer.from(authKey.reveal(), 'utf8')) }
}

function sealContext(rowId: Uint8Array): SealContext {
  return { accountId: SERVER_ACCOUNT_ID, rowId, purpose: 'auth-key' }
}

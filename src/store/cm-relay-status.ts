import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { QueueCounts } from '../cm/server/relay/queue-port.ts'
import { BLOCKS_DATABASE_FILE } from './cm-blocks-database.ts'
import { openReadOnlyConnection } from './database-file.ts'

/** Failing targets that are shown. */
const MAX_SHOWN_TARGETS = 20

/** What a CM server's queue looks like to its owner. */
export interface RelayStatus extends QueueCounts {
  /** `server=h:p[,h:p]`, or `replicate` for the peer. */
  readonly failing: readonly {
    readonly target: string
    readonly failures: number
    readonly nextMs: number
  }[]
}

/** What waits in the database of a CM server. */
export function countRelayQueue(database: DatabaseSync): QueueCounts {
  const row = database
    .prepare(
      `SELECT (SELECT count(*) FROM relay_items) AS proxied,
         (SELECT coalesce(sum(bytes), 0) FROM relay_items) AS proxied_bytes,
         (SELECT count(DISTINCT target) FROM relay_deliveries) AS targets,
         (SELECT count(*) FROM relay_targets) AS failing,
         (SELECT count(*) FROM replicas WHERE is_set_aside = 0) AS replicas,
         (SELECT count(*) FROM replicas WHERE is_set_aside = 1) AS set_aside`,
    )
    .get()
  return {
    proxied: Number(row?.proxied),
    proxiedBytes: Number(row?.proxied_bytes),
    targets: Number(row?.targets),
    failingTargets: Number(row?.failing),
    replicas: Number(row?.replicas),
    setAside: Number(row?.set_aside),
  }
}

/** The queue of the CM server in that directory, whether it runs or not; undefined: there is no server, or no queue yet. */
export function readRelayStatus(directory: string): RelayStatus | undefined {
  const path = join(directory, BLOCKS_DATABASE_FILE)
  if (!existsSync(path)) return undefined
  const database = openReadOnlyConnection(path)
  try {
    const tables = database
      .prepare(`SELECT count(*) AS n FROM sqlite_schema WHERE name = 'relay_items'`)
      .get()
    if (Number(tables?.n) === 0) return undefined
    const failing = database
      .prepare('SELECT target, failures, next_ms FROM relay_targets ORDER BY target LIMIT ?')
      .all(MAX_SHOWN_TARGETS)
      .map((row) => ({
        target: String(row.target),
        failures: Number(row.failures),
        nextMs: Number(row.next_ms),
      }))
    return { ...countRelayQueue(database), failing }
  } finally {
    database.close()
  }
}

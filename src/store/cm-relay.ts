import type { DatabaseSync } from 'node:sqlite'
import type { CertificateMemory, RememberedCertificate } from '../cm/port.ts'
import type { QueueCounts, RelayQueue, Retry, TargetRetries } from '../cm/server/relay/queue-port.ts'
import { CmRelayItems } from './cm-relay-items.ts'
import { CmRelayReplicas } from './cm-relay-replicas.ts'
import type { relayOperations } from './cm-relay-rows.ts'
import { countRelayQueue } from './cm-relay-status.ts'
import type { OperationArgs, OperationResult } from './operation.ts'

type RelayOperations = typeof relayOperations

/** Runs a named write of the relay; durable when it resolves. */
export type RelayWrite = <Name extends keyof RelayOperations>(
  name: Name,
  args: OperationArgs<RelayOperations, Name>,
) => Promise<OperationResult<RelayOperations, Name>>

/** What the queue is kept in. */
export interface RelayStorage {
  /** The server's database; reading, and the rows that join an open transaction of its owner. */
  readonly database: DatabaseSync
  readonly write: RelayWrite
  /** Payloads that wait for their targets. */
  readonly directory: string
  readonly randomBytes: (count: number) => Uint8Array
}

/** What a CM server has to send to other servers, in the server's own directory (CM wire 9.3, 9.4). */
export class CmRelayQueue implements RelayQueue {
  readonly proxied: CmRelayItems
  readonly replicas: CmRelayReplicas
  readonly targets: TargetRetries
  readonly certificates: CertificateMemory
  readonly #database: DatabaseSync

  constructor(storage: RelayStorage) {
    this.#database = storage.database
    this.proxied = new CmRelayItems(storage)
    this.replicas = new CmRelayReplicas(storage)
    this.targets = targetRetries(storage)
    this.certificates = serverCertificates(storage)
  }

  counts(): QueueCounts {
    return countRelayQueue(this.#database)
  }
}

function targetRetries({ database, write }: RelayStorage): TargetRetries {
  return {
    get(target: string): Retry {
      const row = database.prepare('SELECT failures, next_ms FROM relay_targets WHERE target = ?').get(target)
      return { failures: Number(row?.failures ?? 0), nextMs: Number(row?.next_ms ?? 0) }
    },
    set: (target, retry) => write('relayTargetRetry', { target, retry }),
  }
}

/** Remembered for this server alone: the reference gives its own away to whoever asks (CM wire 8.4, S14). */
function serverCertificates({ database, write }: RelayStorage): CertificateMemory {
  return {
    async recall(hostPort) {
      return database
        .prepare(
          `SELECT sha256, description, first_seen_ms AS firstSeenMs FROM relay_certificates WHERE host_port = ?`,
        )
        .get(hostPort) as RememberedCertificate | undefined
    },
    remember: (hostPort, certificate) =>
      write('relayKeepCertificate', { hostPort, certificate, mayReplace: false }),
    replace: (hostPort, certificate) =>
      write('relayKeepCertificate', { hostPort, certificate, mayReplace: true }),
    // A changed certificate never takes the record's place by itself; who uses it tells the owner (S4).
    reportChange: async () => undefined,
  }
}

import type { CertificateMemory, RememberedCertificate } from '../cm/port.ts'
import type { Store } from './open-store.ts'
import type { WriteTransaction } from './operation.ts'
import type { ReadConnection } from './read-connection.ts'

interface CertificateArgs {
  readonly hostPort: string
  readonly certificate: RememberedCertificate
}

/** How the owner's word on a changed certificate ends (design 9). */
export type AcceptCertificateOutcome =
  | { readonly kind: 'accepted'; readonly certificate: RememberedCertificate }
  /** The server shows what is remembered. */
  | { readonly kind: 'nothing-to-accept' }
  /** Nobody of here has connected to it, or it is spelled another way in the accounts. */
  | { readonly kind: 'no-such-server' }

const SELECT_CHANGED = `SELECT changed_sha256 AS sha256, changed_description AS description, changed_seen_ms AS firstSeenMs
  FROM server_certificates WHERE host_port = ?`

/** Servers of strangers that are remembered: whoever writes to us names sixteen, on as many ports as they like. */
const MAX_STRANGERS = 2000

/** `host:port` of every server an account logs in at: what is remembered of these goes with the owner's word only. */
const ACCOUNT_SERVERS = ['servers', 'old_servers', 'publish_servers']
  .map((column) => `SELECT lower(value) FROM accounts, json_each(accounts.${column})`)
  .join(' UNION ')

/** Forgets the strangers that were seen first; without LOGIN a change there is reported to nobody. */
function forgetStrangers(tx: WriteTransaction): void {
  tx.sql(
    `DELETE FROM server_certificates WHERE host_port IN
       (SELECT host_port FROM server_certificates WHERE host_port NOT IN (${ACCOUNT_SERVERS})
        ORDER BY first_seen_ms DESC, host_port LIMIT -1 OFFSET ?)`,
  ).run(MAX_STRANGERS)
}

export const certificateOperations = {
  /** First sight only: an existing record is left alone. */
  rememberCertificate(tx: WriteTransaction, { hostPort, certificate }: CertificateArgs): void {
    tx.sql(
      'INSERT OR IGNORE INTO server_certificates (host_port, sha256, description, first_seen_ms) VALUES (?, ?, ?, ?)',
    ).run(hostPort, certificate.sha256, certificate.description, certificate.firstSeenMs)
    forgetStrangers(tx)
  },

  /** Keeps the changed certificate beside the record; true when it was not known yet (one notice per change). */
  reportCertificateChange(tx: WriteTransaction, { hostPort, certificate }: CertificateArgs): boolean {
    const { changes } = tx
      .sql(
        `UPDATE server_certificates SET changed_sha256 = ?, changed_description = ?, changed_seen_ms = ?
         WHERE host_port = ? AND changed_sha256 IS NOT ?1`,
      )
      .run(certificate.sha256, certificate.description, certificate.firstSeenMs, hostPort)
    return changes > 0
  },

  /** The certificate becomes the record (valid under public authorities, or accepted by the owner). */
  replaceCertificate(tx: WriteTransaction, { hostPort, certificate }: CertificateArgs): void {
    tx.sql(
      `INSERT OR REPLACE INTO server_certificates (host_port, sha256, description, first_seen_ms) VALUES (?, ?, ?, ?)`,
    ).run(hostPort, certificate.sha256, certificate.description, certificate.firstSeenMs)
  },

  /** The changed certificate that waits for the owner becomes the record. */
  acceptCertificate(
    tx: WriteTransaction,
    { hostPort }: { readonly hostPort: string },
  ): AcceptCertificateOutcome {
    const changed = tx.sql(SELECT_CHANGED).get(hostPort) as RememberedCertificate | undefined
    if (changed === undefined) return { kind: 'no-such-server' }
    // The columns are NULL while nothing waits.
    if ((changed.sha256 as string | null) === null) return { kind: 'nothing-to-accept' }
    certificateOperations.replaceCertificate(tx, { hostPort, certificate: changed })
    return { kind: 'accepted', certificate: { ...changed } }
  },
}

/** A server's certificates as `cert list` shows them. */
export interface ServerCertificate {
  readonly hostPort: string
  readonly remembered: RememberedCertificate
  /** Another one that the server shows now and that waits for the owner. */
  readonly changed: RememberedCertificate | null
}

interface CertificateRow {
  readonly host_port: string
  readonly sha256: string
  readonly description: string
  readonly first_seen_ms: number
  readonly changed_sha256: string | null
  readonly changed_description: string | null
  readonly changed_seen_ms: number | null
}

/** Servers that were connected to, by HOST:PORT. */
export function listServerCertificates(read: ReadConnection): ServerCertificate[] {
  return read.all<CertificateRow>('SELECT * FROM server_certificates ORDER BY host_port').map((row) => ({
    hostPort: row.host_port,
    remembered: { sha256: row.sha256, description: row.description, firstSeenMs: row.first_seen_ms },
    changed:
      row.changed_sha256 === null
        ? null
        : {
            sha256: row.changed_sha256,
            description: row.changed_description ?? '',
            firstSeenMs: row.changed_seen_ms ?? 0,
          },
  }))
}

/** What the owner is told of in a notice (design 9). */
export interface CertificateChange {
  readonly hostPort: string
  /** The record as it was. */
  readonly remembered: RememberedCertificate
  readonly seen: RememberedCertificate
  /** `reported`: the old record stays and there is no LOGIN; `replaced`: the new one is the record now. */
  readonly kind: 'reported' | 'replaced'
}

/** Options of `createCertificateMemory`. */
export interface CertificateMemoryOptions {
  readonly store: Pick<Store, 'read' | 'write'>
  /** Called once for each certificate that a server shows in place of the remembered one, when it is durable. */
  readonly onChange?: (change: CertificateChange) => void
}

/** Remembered server certificates on the store (CM wire 8.4, design 9). */
export function createCertificateMemory({ store, onChange }: CertificateMemoryOptions): CertificateMemory {
  const recall = (hostPort: string): RememberedCertificate | undefined =>
    store.read.get<RememberedCertificate>(
      `SELECT sha256, description, first_seen_ms AS firstSeenMs FROM server_certificates WHERE host_port = ?`,
      hostPort,
    )
  return {
    recall: async (hostPort) => recall(hostPort),
    async remember(hostPort, certificate) {
      await store.write('rememberCertificate', { hostPort, certificate })
    },
    async reportChange(hostPort, seen) {
      const remembered = recall(hostPort)
      const isNew = await store.write('reportCertificateChange', { hostPort, certificate: seen })
      if (isNew && remembered !== undefined) onChange?.({ hostPort, remembered, seen, kind: 'reported' })
    },
    async replace(hostPort, seen) {
      const remembered = recall(hostPort)
      await store.write('replaceCertificate', { hostPort, certificate: seen })
      if (remembered !== undefined) onChange?.({ hostPort, remembered, seen, kind: 'replaced' })
    },
  }
}

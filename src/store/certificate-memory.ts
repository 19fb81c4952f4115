import type { CertificateMemory, RememberedCertificate } from '../cm/port.ts'
import type { Store } from './open-store.ts'
import type { WriteTransaction } from './operation.ts'

interface CertificateArgs {
  readonly hostPort: string
  readonly certificate: RememberedCertificate
}

export const certificateOperations = {
  /** First sight only: an existing record is left alone. */
  rememberCertificate(tx: WriteTransaction, { hostPort, certificate }: CertificateArgs): void {
    tx.sql(
      'INSERT OR IGNORE INTO server_certificates (host_port, sha256, description, first_seen_ms) VALUES (?, ?, ?, ?)',
    ).run(hostPort, certificate.sha256, certificate.description, certificate.firstSeenMs)
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

import type { AccountId } from './ids.ts'
import type { WriteTransaction } from './operation.ts'

/** Bytes that are durable or inline, ready to become a row of `blobs`. Plain data: goes into operations' arguments. */
export interface BlobDraft {
  /** 16 random bytes. */
  readonly id: Uint8Array
  readonly accountId: AccountId
  /** Octets in clear. */
  readonly sizeBytes: number
  /** The sealed bytes, or null when they are a file under this id. */
  readonly sealedBytes: Uint8Array | null
}

/** A message ready to enter mailboxes: its bytes and its sealed index. */
export interface MessageDraft {
  readonly blob: BlobDraft
  readonly sealedIndex: Uint8Array
  readonly sealedHeader: Uint8Array
}

/** Makes the row unless it is there (a draft may be used several times), and takes one reference on it. */
export function retainDraft(tx: WriteTransaction, draft: BlobDraft, index?: MessageDraft): void {
  tx.sql(
    `INSERT INTO blobs (id, account_id, size, sealed_index, sealed_header, sealed_bytes) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO NOTHING`,
  ).run(
    draft.id,
    draft.accountId,
    draft.sizeBytes,
    index?.sealedIndex ?? null,
    index?.sealedHeader ?? null,
    draft.sealedBytes,
  )
  retainBlob(tx, draft.id)
}

/** Takes one reference on a blob that is there; throws when it is not. */
export function retainBlob(tx: WriteTransaction, blobId: Uint8Array): void {
  const { changes } = tx
    .sql('UPDATE blobs SET reference_count = reference_count + 1, released_at_ms = NULL WHERE id = ?')
    .run(blobId)
  if (changes !== 1) throw new Error('no such blob')
}

/** Gives one reference back; the bytes go some minutes after the last one (`sweepBlobs`). */
export function releaseBlob(tx: WriteTransaction, blobId: Uint8Array): void {
  tx.sql(
    `UPDATE blobs SET reference_count = reference_count - 1,
       released_at_ms = CASE WHEN reference_count = 1 THEN ? ELSE released_at_ms END
     WHERE id = ?`,
  ).run(tx.nowMs, blobId)
}

export const blobOperations = {
  /**
   * Removes rows of blobs that nothing has referred to since `releasedBeforeMs`, at most `limit`; returns the ids of
   * those that are files, which the caller unlinks (a crash before that leaves files without a row, swept at start).
   */
  sweepBlobs(
    tx: WriteTransaction,
    args: { readonly releasedBeforeMs: number; readonly limit: number },
  ): { readonly fileIds: Uint8Array[]; readonly sweptCount: number } {
    const rows = tx
      .sql(
        `DELETE FROM blobs WHERE id IN
           (SELECT id FROM blobs WHERE reference_count = 0 AND released_at_ms <= ? LIMIT ?)
         RETURNING id, sealed_bytes IS NULL AS is_file`,
      )
      .all(args.releasedBeforeMs, args.limit)
    const fileIds = rows.filter((row) => row.is_file === 1).map((row) => row.id as Uint8Array)
    return { fileIds, sweptCount: rows.length }
  },
}

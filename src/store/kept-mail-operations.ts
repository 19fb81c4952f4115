import { releaseBlob } from './blob-rows.ts'
import type { AccountId } from './ids.ts'
import { inboundRow } from './inbound-operations.ts'
import type { WriteTransaction } from './operation.ts'
import { type DueWork, scheduleWork } from './work-rows.ts'

/** What is kept of inbound mail beside the message itself: containers to pass on, blocks of what could not be read. */
export const keptMailOperations = {
  /** Gives back containers of messages that are in no mailbox any more, at most `limit`; returns how many. */
  releaseContainers(tx: WriteTransaction, args: { readonly limit: number }): number {
    const rows = tx
      .sql(
        `SELECT id, container_blob_id FROM inbound_announcements AS inbound WHERE container_blob_id IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.blob_id = inbound.blob_id) LIMIT ?`,
      )
      .all(args.limit)
    for (const { id, container_blob_id } of rows) {
      releaseBlob(tx, container_blob_id as Uint8Array)
      tx.sql('UPDATE inbound_announcements SET container_blob_id = NULL WHERE id = ?').run(Number(id))
    }
    return rows.length
  },

  /** A key came that may open what could not be read: all of it is tried again from the blocks that were kept. */
  retryQuarantined(tx: WriteTransaction, args: { readonly accountId: AccountId }): readonly DueWork[] {
    const rows = tx
      .sql(
        `UPDATE inbound_announcements SET state = 'fetched', reason = NULL WHERE account_id = ? AND state = 'quarantined' RETURNING id`,
      )
      .all(args.accountId)
    return rows.map(({ id }) => {
      const row = inboundRow(Number(id))
      return scheduleWork(tx, { row, accountId: args.accountId, stage: 'decode', delayMs: 0 })
    })
  },
}

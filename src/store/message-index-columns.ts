import type { BodyPart, ImapEnvelope, MessageIndex } from '../mail/message-index.ts'
import type { BlobDraft, MessageDraft } from './blob-rows.ts'
import type { AccountId } from './ids.ts'
import { open, type SealContext, seal } from './vault.ts'

/** What `sealed_index` holds, as JSON; the header is a column of its own, being bytes. */
interface IndexColumn {
  readonly envelope: ImapEnvelope
  readonly structure: BodyPart
  readonly dateMs: number | null
}

export interface IndexColumns {
  readonly accountId: AccountId
  readonly blobId: Uint8Array
  readonly size: number
  readonly sealedIndex: Uint8Array
  readonly sealedHeader: Uint8Array
}

/** Seals an index for the columns of its blob. */
export function sealIndex(
  blob: BlobDraft,
  index: MessageIndex,
): Pick<MessageDraft, 'sealedIndex' | 'sealedHeader'> {
  if (index.size !== blob.sizeBytes) throw new Error('the index is not of these bytes')
  const { envelope, structure, dateMs } = index
  const column: IndexColumn = { envelope, structure, dateMs }
  const context = { accountId: blob.accountId, rowId: blob.id }
  return {
    sealedIndex: seal({ ...context, purpose: 'index' }, Buffer.from(JSON.stringify(column))),
    sealedHeader: seal({ ...context, purpose: 'header' }, index.headerBytes),
  }
}

/** Opens what `sealIndex` sealed. */
export function openIndex(columns: IndexColumns): MessageIndex {
  const context: Omit<SealContext, 'purpose'> = { accountId: columns.accountId, rowId: columns.blobId }
  const json = open({ ...context, purpose: 'index' }, columns.sealedIndex)
  const { envelope, structure, dateMs } = JSON.parse(Buffer.from(json).toString()) as IndexColumn
  const headerBytes = open({ ...context, purpose: 'header' }, columns.sealedHeader)
  return { size: columns.size, envelope, structure, dateMs, headerBytes }
}

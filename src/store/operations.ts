import { accountOperations } from './account-operations.ts'
import { blobOperations } from './blob-rows.ts'
import { certificateOperations } from './certificate-memory.ts'
import { mailboxOperations } from './mailbox-operations.ts'
import { messageOperations } from './message-operations.ts'

/** Every write there is, by name. The writer thread imports this table; `Store.write` takes its types from it. */
export const operations = {
  ...accountOperations,
  ...blobOperations,
  ...certificateOperations,
  ...mailboxOperations,
  ...messageOperations,
}

export type Operations = typeof operations

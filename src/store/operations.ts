import { accountNetworkOperations } from './account-network-operations.ts'
import { accountOperations } from './account-operations.ts'
import { blobOperations } from './blob-rows.ts'
import { bypassOperations } from './bypass-operations.ts'
import { certificateOperations } from './certificate-memory.ts'
import { contactOperations } from './contact-operations.ts'
import { inboundOperations } from './inbound-operations.ts'
import { keptMailOperations } from './kept-mail-operations.ts'
import { keyOperations } from './key-operations.ts'
import { mailboxOperations } from './mailbox-operations.ts'
import { messageOperations } from './message-operations.ts'
import { outboundOperations } from './outbound-operations.ts'
import { reportOperations } from './report-operations.ts'
import { submissionOperations } from './submission-operations.ts'
import { workOperations } from './work-operations.ts'

/** Every write there is, by name. The writer thread imports this table; `Store.write` takes its types from it. */
export const operations = {
  ...accountNetworkOperations,
  ...accountOperations,
  ...blobOperations,
  ...bypassOperations,
  ...certificateOperations,
  ...keyOperations,
  ...mailboxOperations,
  ...messageOperations,
  ...contactOperations,
  ...inboundOperations,
  ...keptMailOperations,
  ...outboundOperations,
  ...reportOperations,
  ...submissionOperations,
  ...workOperations,
}

export type Operations = typeof operations

import { certificates } from './certificates.ts'
import { cmBlocks } from './cm-blocks.ts'
import { cmClient } from './cm-client.ts'
import { cmServer } from './cm-server.ts'
import { containers, messageHeaders } from './containers.ts'
import { folderSync } from './folder-sync.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { imapServer } from './imap-server.ts'
import { markup, mimeMessages } from './mail.ts'
import { ownerFiles, pastedKeys } from './owner-files.ts'

/** Every target, in the order in which `make fuzz` visits them. */
export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  cmServer,
  cmClient,
  cmBlocks,
  certificates,
  containers,
  messageHeaders,
  folderSync,
  ownerFiles,
  pastedKeys,
  imapServer,
  mimeMessages,
  markup,
]

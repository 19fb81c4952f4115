import { existsSync } from 'node:fs'
import { type Account, listAccounts } from '../store/account-queries.ts'
import { directoryLayout } from '../store/database-file.ts'
import { openStoreForReading } from '../store/open-store.ts'
import { type CliContext, type CommonFlags, dataDirectory } from './context.ts'

/** The accounts, read beside a running bridge or without one; none in a directory that is not yet one of ours. */
export function readAccounts(context: CliContext, flags: CommonFlags): readonly Account[] {
  const directory = dataDirectory(context, flags)
  if (!existsSync(directoryLayout(directory).databasePath)) return []
  const read = openStoreForReading(directory)
  try {
    return listAccounts(read)
  } finally {
    read.close()
  }
}

import { parseFolderSyncLog } from '../../../src/cm/message/folder-sync.ts'
import { parseSyncedMessage } from '../../../src/cm/message/synced-message.ts'
import {
  CALLING_RECORD,
  COLOUR_RECORD,
  framed,
  MESSAGE_TUPLE,
  SYNC_LOG,
  SYNC_LOG_C,
} from '../../support/sync-pickles.ts'
import { type FuzzTarget, mustHold } from './fuzz-target.ts'

const octets = (hex: string) => Buffer.from(hex, 'hex')

/** Python pickles another client of the account sends: read as data, never run. */
export const folderSync: FuzzTarget = {
  name: 'folder-sync',
  seeds: () => [
    octets(SYNC_LOG),
    octets(SYNC_LOG_C),
    framed(octets(COLOUR_RECORD)),
    framed(octets(CALLING_RECORD)),
    octets(MESSAGE_TUPLE),
  ],
  async run(input) {
    const { records, ignoredCount } = parseFolderSyncLog(input)
    mustHold(records.length + ignoredCount <= input.length / 4, 'each record has its length in front')
    const message = parseSyncedMessage(input, input)
    mustHold(
      message === undefined || message.attachmentNames.every((name) => !/[/\\]/.test(name)),
      'a file name is no path',
    )
  },
}

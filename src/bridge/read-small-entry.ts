import type { OpenedMessage } from '../cm/message/decode-message.ts'
import { readZipEntryBytes, ZipDamagedError } from '../cm/message/zip-read.ts'

/**
 * The first entry of that name in a message, whole; undefined when there is none, when it is longer than `maxBytes` or
 * damaged: what a message brings beside its text never stands in the way of the text.
 */
export async function readSmallEntry(
  opened: OpenedMessage,
  name: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const entry = opened.entries.find((one) => one.name === name)
  if (entry === undefined || entry.size > maxBytes) return undefined
  try {
    return await readZipEntryBytes(opened.zip, entry, { maxBytes })
  } catch (error) {
    if (error instanceof ZipDamagedError) return undefined
    throw error
  }
}

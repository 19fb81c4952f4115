import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { ZipFile } from 'yazl'

/** What an entry is made of: bytes, or a file whose size was known when the message was planned. */
export type ZipContent = { readonly bytes: Uint8Array } | { readonly path: string; readonly size: number }

export type NewZipEntry = { readonly name: string } & ZipContent

// Local time on purpose: ZIP holds wall-clock fields, so this is 1980-01-01 00:00 in every archive we write and gives
// away neither the sender's clock nor its zone (CM message 14.21).
const FIXED_TIME = new Date(1980, 0, 1)
const PLAIN_FILE = 0o100644

/**
 * Writes an archive: entries in the order given, stored, names flagged UTF-8 (CM message 1.4, 1.6), no times, no owner.
 * Rejects when a file is missing or does not have the size it was planned with.
 */
export async function writeZip(path: string, entries: readonly NewZipEntry[]): Promise<void> {
  await checkSizes(entries)
  const zip = new ZipFile()
  const output = createWriteStream(path, { mode: 0o600 })
  // yazl reports a bad input file as an event of its own and leaves the output open; make it fail the pipeline.
  zip.on('error', (error: Error) => output.destroy(error))
  for (const entry of entries) addEntry(zip, entry)
  zip.end()
  await pipeline(zip.outputStream, output)
}

/** A file that grew or shrank since it was hashed and announced is not the one that was to be sent. */
async function checkSizes(entries: readonly NewZipEntry[]): Promise<void> {
  for (const entry of entries) {
    if (!('path' in entry)) continue
    const { size } = await stat(entry.path)
    if (size !== entry.size) throw new Error(`${entry.path} has ${size} bytes, not ${entry.size}`)
  }
}

function addEntry(zip: ZipFile, entry: NewZipEntry): void {
  const options = { mtime: FIXED_TIME, mode: PLAIN_FILE, compress: false, forceDosTimestamp: true }
  if ('bytes' in entry) {
    zip.addBuffer(Buffer.from(entry.bytes), entry.name, options)
    return
  }
  zip.addFile(entry.path, entry.name, options)
}

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
  const output = createWriteStream(path, { mode: 0o600 })
  const zip = createZip(entries)
  // yazl reports a bad input file as an event of its own and leaves the output open; make it fail the pipeline.
  zip.on('error', (error: Error) => output.destroy(error))
  await pipeline(zip.outputStream, output)
}

/** The same archive in memory; undefined when an entry is a file or all are more than `maxBytes` together. */
export async function zipInMemory(
  entries: readonly NewZipEntry[],
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const sizes = entries.map((entry) => ('bytes' in entry ? entry.bytes.length : Number.POSITIVE_INFINITY))
  if (sizes.reduce((sum, size) => sum + size, 0) > maxBytes) return undefined
  const chunks: Uint8Array[] = []
  for await (const chunk of createZip(entries).outputStream as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function createZip(entries: readonly NewZipEntry[]): ZipFile {
  const zip = new ZipFile()
  for (const entry of entries) addEntry(zip, entry)
  zip.end()
  return zip
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

import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { MAX_SIGNATURE_BYTES } from './container.ts'
import { type OpenedMessage, type OpenOutcome, openContainer } from './decode-message.ts'
import { readZipEntry, readZipEntryBytes, ZipDamagedError } from './zip-read.ts'

/**
 * Opens the original inside a signed forward (CM message 6) by writing it as a container file of its own. It was not
 * sent to us, so no acknowledgment is looked for, though one may lie in it. Undefined when there is none.
 */
export async function openForwardedOriginal(given: {
  readonly opened: Pick<OpenedMessage, 'zip' | 'forwardedOriginal'>
  /** A new file; it must stay as long as the result is used. */
  readonly containerPath: string
}): Promise<OpenOutcome | undefined> {
  const { zip, forwardedOriginal } = given.opened
  if (forwardedOriginal === undefined) return undefined
  try {
    const signature = await readZipEntryBytes(zip, forwardedOriginal.signature, {
      maxBytes: MAX_SIGNATURE_BYTES,
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(signature.length)
    const output = createWriteStream(given.containerPath, { mode: 0o600 })
    await pipeline(async function* () {
      yield length
      yield signature
      yield* readZipEntry(zip, forwardedOriginal.zip)
    }, output)
  } catch (error) {
    if (error instanceof ZipDamagedError) return { kind: 'unreadable', reason: 'zip-damaged' }
    throw error
  }
  return openContainer({ containerPath: given.containerPath })
}

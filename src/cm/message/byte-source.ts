import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'

/** Octets in a file, or in memory when they are few; plain data that may cross to another thread. */
export type ByteSource = { readonly path: string } | { readonly bytes: Uint8Array }

/** Octets of a message that is handled in memory: a dozen small files cost more than all its cryptography. */
export const MAX_IN_MEMORY_BYTES = 1024 * 1024

/** Octets of one read: openpgp.js is a tenth faster than with 64 KiB; more only costs memory (measurements 1). */
export const READ_CHUNK_BYTES = 256 * 1024

/** Octets `[start, end)` as they come. */
export function sourceChunks(
  source: ByteSource,
  { start, end }: { readonly start: number; readonly end?: number },
): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if ('bytes' in source) return [source.bytes.subarray(start, end)]
  const last = end === undefined ? {} : { end: end - 1 }
  return createReadStream(source.path, { start, ...last, highWaterMark: READ_CHUNK_BYTES })
}

/** Reads `length` octets from `position`; fewer when the source ends before. */
export type ReadAt = (position: number, length: number) => Promise<Buffer>

/** Runs `use` with random access to the source. */
export async function withSource<Result>(
  source: ByteSource,
  use: (read: ReadAt) => Promise<Result>,
): Promise<Result> {
  if ('bytes' in source) {
    const { bytes } = source
    return use(async (position, length) => Buffer.from(bytes.subarray(position, position + length)))
  }
  const file = await open(source.path)
  try {
    return await use(async (position, length) => {
      const buffer = Buffer.alloc(length)
      const { bytesRead } = await file.read(buffer, 0, length, position)
      return buffer.subarray(0, bytesRead)
    })
  } finally {
    await file.close()
  }
}

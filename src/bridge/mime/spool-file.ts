import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** Octets in a file of a work directory, or in memory when they are few: what the ZIP writer takes. */
export type SpooledContent = { readonly bytes: Uint8Array } | { readonly path: string; readonly size: number }

/** Writes streams to new files of one work directory, which its owner removes. */
export class Spool {
  readonly #directory: string
  #count = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  /** A file with the octets of the source; rejects when it cannot be written whole. */
  async write(source: AsyncIterable<Uint8Array>): Promise<{ readonly path: string; readonly size: number }> {
    this.#count++
    const path = join(this.#directory, `part-${this.#count}`)
    // Exclusive: a second spool on the same directory would otherwise mix two messages.
    const file = await open(path, 'wx', 0o600)
    let size = 0
    try {
      for await (const chunk of source) {
        await file.writeFile(chunk)
        size += chunk.length
      }
    } finally {
      await file.close()
    }
    return { path, size }
  }
}

/** Reads spooled content from its start. */
export async function* openSpooled(content: SpooledContent): AsyncGenerator<Uint8Array> {
  if ('bytes' in content) yield content.bytes
  else yield* createReadStream(content.path) as AsyncIterable<Uint8Array>
}

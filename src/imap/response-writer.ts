import type { ByteChannel } from '../net/byte-channel.ts'
import { breathe } from './breathe.ts'
import { encodeResponse } from './encoder.ts'
import { WRITE_BUFFER_BYTES } from './limits.ts'
import type { Response } from './response.ts'

/**
 * Writes responses to a channel. Small ones are collected; octets of bodies go through as they are read, each chunk
 * only after the one before was taken, so a slow reader holds one chunk and no more.
 */
export class ResponseWriter {
  readonly #channel: ByteChannel
  #buffer: Uint8Array[] = []
  #bufferedBytes = 0

  constructor(channel: ByteChannel) {
    this.#channel = channel
  }

  /**
   * Rejects with the channel's errors; with `BrokenLiteralError` when a body is not as long as was announced; with
   * what `encodeResponse` throws before a single octet went out.
   */
  async write(response: Response): Promise<void> {
    for (const piece of encodeResponse(response)) {
      if (typeof piece === 'string') await this.#collect(Buffer.from(piece, 'latin1'))
      else if (piece instanceof Uint8Array) await this.#collect(piece)
      else await this.#copy(piece.chunks, piece.size)
    }
  }

  /** Hands over what was collected. */
  async flush(): Promise<void> {
    if (this.#bufferedBytes === 0) return
    const bytes = Buffer.concat(this.#buffer)
    this.#buffer = []
    this.#bufferedBytes = 0
    await this.#channel.write(bytes)
  }

  async #collect(bytes: Uint8Array): Promise<void> {
    this.#buffer.push(bytes)
    this.#bufferedBytes += bytes.length
    if (this.#bufferedBytes < WRITE_BUFFER_BYTES) return
    await this.flush()
    await breathe()
  }

  async #copy(chunks: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    let remaining = size
    for await (const chunk of readingFor(size, chunks)) {
      if (chunk.length > remaining) throw new BrokenLiteralError(size)
      remaining -= chunk.length
      await this.#collect(chunk)
    }
    if (remaining > 0) throw new BrokenLiteralError(size)
  }
}

/** The chunks; what goes wrong in reading them, not in writing, becomes a `BrokenLiteralError`. */
async function* readingFor(
  size: number,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* chunks
  } catch (error) {
    throw new BrokenLiteralError(size, { cause: error })
  }
}

/** A literal of that many octets was announced and the store did not give them: the connection is out of step. */
export class BrokenLiteralError extends Error {
  override readonly name = 'BrokenLiteralError'

  constructor(size: number, options?: ErrorOptions) {
    super(`the store did not give the ${size} octets of a body that it had announced`, options)
  }
}

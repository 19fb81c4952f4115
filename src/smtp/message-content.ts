import type { Readable } from 'node:stream'

/** The connection ended before the final dot: nothing of the message may be kept (RFC 5321 4.1.1.4). */
class ConnectionLostError extends Error {
  constructor(options?: ErrorOptions) {
    super('the connection was lost before the end of the message', options)
    this.name = 'ConnectionLostError'
  }
}

/** More octets arrived than SIZE allows: nothing of the message may be kept. */
class MessageTooBigError extends Error {
  constructor(maxBytes: number) {
    super(`the message is larger than ${maxBytes} octets`)
    this.name = 'MessageTooBigError'
  }
}

/**
 * The content of DATA on its way to a transaction: one chunk at a time, so that a slow reader slows the sender. The
 * stream is never destroyed from here: what the reader leaves is still the peer's message, not its next commands.
 */
export class MessageContent {
  readonly #stream: Readable
  readonly #maxBytes: number
  #outcome: 'arriving' | 'complete' | 'lost' | 'too-big' = 'arriving'

  constructor(stream: Readable, maxBytes: number) {
    this.#stream = stream
    this.#maxBytes = maxBytes
    // Without a listener the SMTP package would end the stream without an error when the connection is lost.
    stream.on('error', () => undefined)
  }

  get outcome(): 'arriving' | 'complete' | 'lost' | 'too-big' {
    return this.#outcome
  }

  /** Yields the octets; throws ConnectionLostError or MessageTooBigError. */
  async *chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    let bytes = 0
    try {
      for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) {
        bytes += chunk.length
        if (bytes > this.#maxBytes) {
          this.#outcome = 'too-big'
          throw new MessageTooBigError(this.#maxBytes)
        }
        yield chunk
      }
      this.#outcome = 'complete'
    } catch (cause) {
      if (cause instanceof MessageTooBigError) throw cause
      this.#outcome = 'lost'
      throw new ConnectionLostError({ cause })
    }
  }

  /** Reads what is left up to the final dot and drops it; gives up by `tooMuch` past the given octets. */
  discardRest(maxBytes: number, tooMuch: () => void): void {
    if (this.#stream.readableEnded || this.#stream.destroyed) return
    let bytes = 0
    this.#stream.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length
      if (bytes > maxBytes) tooMuch()
    })
    this.#stream.resume()
  }
}

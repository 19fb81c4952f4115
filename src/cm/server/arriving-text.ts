import { decodeBlockText } from '../block-text.ts'
import type { PayloadSink } from './port.ts'
import type { ReceivedBlock } from './receive-block.ts'

/** Octets of memory the lines of one block may take while they arrive; a thousand connections may do it at once. */
export const MAX_HELD_TEXT_BYTES = 64 * 1024
/** Octets a line costs beyond its own: a block of empty lines is not free. */
const LINE_COST_BYTES = 32

/** The lines of a block on their way: held while they are few, in a file when they become many (CM wire S9). */
export class ArrivingText {
  readonly #openSink: () => Promise<PayloadSink | undefined>
  #lines: string[] = []
  #heldBytes = 0
  #sink: PayloadSink | undefined
  #fault: { readonly error: unknown } | undefined
  #isDropped = false

  /** `openSink`: a file, asked for at most once; undefined: the text is not wanted. */
  constructor(openSink: () => Promise<PayloadSink | undefined>) {
    this.#openSink = openSink
  }

  /** Takes a line, latin1; true when `flush` has to be called. */
  add(line: string): boolean {
    this.#lines.push(line)
    this.#heldBytes += line.length + LINE_COST_BYTES
    return this.#heldBytes > MAX_HELD_TEXT_BYTES
  }

  /** The lines, while they are all held; undefined when they are not. */
  get held(): readonly string[] | undefined {
    return this.#sink === undefined && this.#fault === undefined && !this.#isDropped ? this.#lines : undefined
  }

  /** Writes what is held to the file; a fault of ours ends the writing, not the reading. */
  async flush(): Promise<void> {
    const bytes = this.#takeBytes()
    if (this.#fault !== undefined || this.#isDropped) return
    try {
      this.#sink ??= await this.#openSink()
      if (this.#sink === undefined) this.#isDropped = true
      else await this.#sink.write(bytes)
    } catch (error) {
      this.#fault = { error }
    }
  }

  async discard(): Promise<void> {
    this.#isDropped = true
    this.#lines = []
    this.#heldBytes = 0
    const sink = this.#sink
    this.#sink = undefined
    await sink?.discard()
  }

  async finish(): Promise<ReceivedBlock> {
    if (this.#isDropped) return { kind: 'dropped' }
    if (this.#sink === undefined && this.#fault === undefined) {
      const text = decodeBlockText(this.#takeBytes())
      return text === undefined ? { kind: 'dropped' } : { kind: 'text', text }
    }
    await this.flush()
    const fault = this.#fault
    if (fault === undefined && this.#sink !== undefined) return { kind: 'large-text', sink: this.#sink }
    await this.discard()
    return { kind: 'unstorable', error: fault?.error }
  }

  #takeBytes(): Buffer {
    const bytes = Buffer.from(`${this.#lines.join('\n')}\n`, 'latin1')
    this.#lines = []
    this.#heldBytes = 0
    return bytes
  }
}

/** Blocks of one connection that are judged and stored at once: a client that does not wait shares commits with itself. */
const MAX_UNANSWERED = 32
/** Octets of them; a thousand connections may do it at once. */
const MAX_UNANSWERED_BYTES = 64 * 1024

/** Answers to commands that were read ahead, written in the order of the commands. */
export class AnswersInOrder {
  readonly #write: (answer: string) => Promise<void>
  #last: Promise<void> = Promise.resolve()
  #unanswered = 0
  #unansweredBytes = 0

  constructor(write: (answer: string) => Promise<void>) {
    this.#write = write
  }

  /**
   * Writes the answer when it is there and all before it are written; `bytes` is what its command holds meanwhile.
   * Resolves when the next command may be read; rejects when an answer could not be written.
   */
  async add(answer: Promise<string>, bytes: number): Promise<void> {
    this.#unanswered += 1
    this.#unansweredBytes += bytes
    const written = this.#writeInTurn(answer, this.#last, bytes)
    // Whoever waits next is told.
    written.catch(() => undefined)
    this.#last = written
    if (this.#unanswered >= MAX_UNANSWERED || this.#unansweredBytes >= MAX_UNANSWERED_BYTES) await written
  }

  /** Resolves when everything is answered: what comes next may depend on it. Rejects as `add`. */
  async settled(): Promise<void> {
    if (this.#unanswered > 0) await this.#last
  }

  async #writeInTurn(answer: Promise<string>, before: Promise<void>, bytes: number): Promise<void> {
    try {
      const text = await answer
      await before
      await this.#write(text)
    } finally {
      this.#unanswered -= 1
      this.#unansweredBytes -= bytes
    }
  }
}

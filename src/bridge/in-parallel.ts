/** Runs `work` for every item, at most `limit` at a time; results in the order of the items. The first error rejects. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const queue = items.entries()
  const runner = async (): Promise<void> => {
    for (const [index, item] of queue) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, runner))
  return results
}

/** Lets at most `limit` pieces of work with the same key run at a time; the others wait in order. */
export class KeyedLimit {
  readonly #limit: number
  readonly #running = new Map<string, number>()
  readonly #waiting = new Map<string, (() => void)[]>()

  constructor(limit: number) {
    this.#limit = limit
  }

  async run<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    await this.#enter(key)
    try {
      return await work()
    } finally {
      this.#leave(key)
    }
  }

  async #enter(key: string): Promise<void> {
    const running = this.#running.get(key) ?? 0
    if (running < this.#limit) {
      this.#running.set(key, running + 1)
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), resolve])
    await promise
  }

  /** The place goes to the next in line, or is free. */
  #leave(key: string): void {
    const [next, ...others] = this.#waiting.get(key) ?? []
    if (others.length > 0) this.#waiting.set(key, others)
    else this.#waiting.delete(key)
    if (next !== undefined) {
      next()
      return
    }
    const running = (this.#running.get(key) ?? 1) - 1
    if (running > 0) this.#running.set(key, running)
    else this.#running.delete(key)
  }
}

/** Wakes one waiter: `wait` resolves at the next `raise`, or at once when one came since the last wait. */
export class Signal {
  #isRaised = false as boolean
  #resume: (() => void) | undefined

  raise(): void {
    this.#isRaised = true
    this.#resume?.()
  }

  async wait(): Promise<void> {
    if (!this.#isRaised) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve
      })
    }
    this.#isRaised = false as boolean
    this.#resume = undefined
  }
}

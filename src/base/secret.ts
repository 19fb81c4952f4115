import { inspect } from 'node:util'

const REDACTED = '[redacted]'

/**
 * A value that must not reach a log, an error text or a job: it prints `[redacted]` however it is printed,
 * and is read only by the explicit `reveal()`.
 */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  reveal(): T {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}

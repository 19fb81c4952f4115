/** How a verb ends: 0 it did what was asked, 1 it could not, 2 it was asked wrongly. */
export const exitCode = { ok: 0, failure: 1, misuse: 2 } as const

/** Ends a verb with one line for the user: the cause, and what to do about it. Caught once, in `main.ts`. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(message: string, code: number = exitCode.failure) {
    super(message)
    this.exitCode = code
  }
}

/** The user's command or settings are wrong. */
export function misuse(message: string): CliError {
  return new CliError(message, exitCode.misuse)
}

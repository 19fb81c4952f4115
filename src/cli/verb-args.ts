import { CliError } from './cli-error.ts'

/** Checks of what comes through control.sock: plain data of another process, perhaps of another release. */

/** Fields that must be texts; throws CliError. */
export function textFields<Name extends string>(
  verb: string,
  args: unknown,
  names: readonly Name[],
): Record<Name, string> {
  const entries = names.map((name) => {
    const value = fieldOf(args, name)
    if (!isText(value)) throw badArgs(verb)
    return [name, value] as const
  })
  return Object.fromEntries(entries) as Record<Name, string>
}

/** A field of an object, or undefined. */
export function fieldOf(args: unknown, name: string): unknown {
  return typeof args === 'object' && args !== null ? (args as Record<string, unknown>)[name] : undefined
}

/** Any text. */
export function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** Any text, or null. */
export function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value)
}

/** A list of texts. */
export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText)
}

/** Any number. */
export function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}

/** True or false. */
export function isTruth(value: unknown): value is boolean {
  return typeof value === 'boolean'
}

/** Two releases that speak to each other: the asking one is older or newer than the one that runs. */
export function badArgs(verb: string): CliError {
  return new CliError(
    `"${verb}" is asked for in a way the running bridge does not know: restart it after an update`,
  )
}

import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../bridge/config.ts'
import { loadConfig } from './load-config.ts'

/** The world a verb runs in; `main.ts` gives the real one. */
export interface CliContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly randomBytes: (size: number) => Uint8Array
  /** Standard output, without a line end of its own. */
  readonly print: (text: string) => void
  /** Asks a person for something that is not shown; undefined when nobody sits there. */
  readonly askSecret?: ((question: string) => Promise<string>) | undefined
  /** Resolves when the program is asked to end (SIGTERM, SIGINT). */
  readonly askedToEnd: Promise<string>
}

/** The flags every verb takes. */
export interface CommonFlags {
  readonly data?: string
  readonly config?: string
  readonly set?: readonly string[]
  readonly json?: boolean
}

/** `--data`, else $CMBRIDGE_DATA, else where this system keeps programs' data. */
export function dataDirectory({ environment }: CliContext, flags: CommonFlags): string {
  const given = flags.data ?? environment.CMBRIDGE_DATA
  if (given !== undefined && given !== '') return resolve(given)
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'cmbridge')
  const share = environment.XDG_DATA_HOME
  return join(share === undefined || share === '' ? join(homedir(), '.local', 'share') : share, 'cmbridge')
}

/** All settings for a verb. Throws CliError (misuse) for wrong ones. */
export function settingsOf(context: CliContext, flags: CommonFlags): Config {
  return loadConfig({
    configFile: flags.config ?? context.environment.CMBRIDGE_CONFIG,
    dataDirectory: dataDirectory(context, flags),
    environment: context.environment,
    settings: flags.set ?? [],
  })
}

/** Prints a result: as one JSON line for scripts, else as the lines for people. */
export function printResult(
  context: CliContext,
  flags: CommonFlags,
  result: { readonly json: unknown; readonly lines: readonly string[] },
): void {
  context.print(
    flags.json === true
      ? `${JSON.stringify(result.json)}\n`
      : result.lines.map((line) => `${line}\n`).join(''),
  )
}

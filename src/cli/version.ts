import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { type CliContext, type CommonFlags, printResult } from './context.ts'

/** Version of this program, as in package.json. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}

/** `cmbridge version` */
export function registerVersion(program: Command, context: CliContext): void {
  program
    .command('version')
    .description('print the version of the program and of its Node')
    .action((_flags: unknown, command: Command) => {
      const version = programVersion()
      printResult(context, command.optsWithGlobals<CommonFlags>(), {
        json: { version, node: process.versions.node },
        lines: [`cmbridge ${version} (Node ${process.versions.node})`],
      })
    })
}

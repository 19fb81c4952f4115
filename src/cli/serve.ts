import type { Command } from 'commander'
import type { CliContext, CommonFlags } from './context.ts'

/** `cmbridge serve`: the bridge, until SIGTERM or SIGINT. */
export function registerServe(program: Command, context: CliContext): void {
  program
    .command('serve')
    .description('run the bridge until it is told to end (SIGTERM, Ctrl-C)')
    .action(async (_flags: unknown, command: Command) => {
      // Loaded when it is wanted: the other verbs need a tenth of it.
      const { runServe } = await import('./run-serve.ts')
      await runServe(context, command.optsWithGlobals<CommonFlags>())
    })
}

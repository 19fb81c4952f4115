import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import type { CmServerFlags } from './run-cm-server.ts'

/** `cmbridge cm-server`: the CM server alone, on a directory of its own, until SIGTERM or SIGINT. */
export function registerCmServer(program: Command, context: CliContext): void {
  program
    .command('cm-server')
    .description('run a Confidant Mail server alone, with --data as its own directory')
    .option('--listen <host:port>', 'where to listen (cmServer.listen)')
    .option('--auth <file>', "who may log in, in the reference server's auth.txt format")
    .action(async (_flags: unknown, command: Command) => {
      const { runCmServer } = await import('./run-cm-server.ts')
      await runCmServer(context, command.optsWithGlobals<CmServerFlags>())
    })
}

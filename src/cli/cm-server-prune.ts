import type { Command } from 'commander'
import { cmServerDirectory, withUsage } from './cm-server-report.ts'
import { type CliContext, type CommonFlags, printResult, settingsOf } from './context.ts'
import { maxAgesOf } from './max-ages.ts'
import { withIdleBlocks } from './with-idle-blocks.ts'

interface PruneFlags extends CommonFlags {
  readonly dryRun?: boolean
}

/** `cmbridge cm-server prune`: removes expired records of a server that does not run (CM wire 9.8). */
export function registerCmServerPrune(cmServer: Command, context: CliContext): void {
  cmServer
    .command('prune')
    .description('remove blocks that have expired; a server that runs does it by itself every day')
    .option('--dry-run', 'only say what would be removed; works while the server runs')
    .action(async (_flags: unknown, command: Command) => {
      const flags = command.optsWithGlobals<PruneFlags>()
      const settings = settingsOf(context, flags).cmServer
      const maxAges = maxAgesOf(settings)
      const expired = withUsage(context, flags, (usage) => usage.expired(maxAges, context.clock.now()))
      if (flags.dryRun !== true) {
        const directory = cmServerDirectory(context, flags)
        await withIdleBlocks(context, { directory, settings, verb: 'cm-server prune' }, (blocks) =>
          blocks.prune(),
        )
      }
      const records = expired.reduce((sum, each) => sum + each.records, 0)
      const bytes = expired.reduce((sum, each) => sum + each.bytes, 0)
      const verb = flags.dryRun === true ? 'would be removed' : 'removed'
      printResult(context, flags, {
        json: { dryRun: flags.dryRun === true, records, bytes, types: expired },
        lines: [
          ...expired.map((each) => `${each.type.padEnd(20)}  ${each.records} records, ${each.bytes} octets`),
          `${records} ${records === 1 ? 'record' : 'records'} ${verb}, ${bytes} octets`,
        ],
      })
    })
}

import type { Command } from 'commander'
import { CmBlockStore } from '../store/cm-blocks.ts'
import { cmServerDirectory, withUsage } from './cm-server-report.ts'
import { type CliContext, type CommonFlags, printResult, settingsOf } from './context.ts'
import { lockInstallation } from './installation.ts'
import { maxAgesOf } from './max-ages.ts'

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
      const maxAges = maxAgesOf(settingsOf(context, flags).cmServer)
      const expired = withUsage(context, flags, (usage) => usage.expired(maxAges, context.clock.now()))
      if (flags.dryRun !== true) await prune(context, flags)
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

async function prune(context: CliContext, flags: CommonFlags): Promise<void> {
  const { clock, randomBytes } = context
  const directory = cmServerDirectory(context, flags)
  const holder = { pid: process.pid, startedAtMs: clock.now(), verb: 'cm-server prune', runDirectory: '' }
  const { lock } = lockInstallation(directory, holder)
  try {
    const maxAges = maxAgesOf(settingsOf(context, flags).cmServer)
    const blocks = await CmBlockStore.open(directory, {
      clock,
      randomBytes,
      maxAges,
      onFailure: () => undefined,
    })
    try {
      await blocks.prune()
    } finally {
      await blocks.close()
    }
  } finally {
    lock.release()
  }
}

import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { readStatus } from '../bridge/read-status.ts'
import { directoryLayout } from '../store/database-file.ts'
import { openStoreForReading } from '../store/open-store.ts'
import { CliError } from './cli-error.ts'
import { type CliContext, type CommonFlags, dataDirectory, printResult, settingsOf } from './context.ts'
import { relayLines, relayStatusOf } from './relay-status.ts'
import { findRunningBridge, type RunningBridge } from './running-bridge.ts'

/** `cmbridge status`: does it run, what waits, what fails. */
export function registerStatus(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('say whether the bridge runs, what it waits for and what fails')
    .action((_flags: unknown, command: Command) =>
      printStatus(context, command.optsWithGlobals<CommonFlags>()),
    )
}

async function printStatus(context: CliContext, flags: CommonFlags): Promise<void> {
  const directory = dataDirectory(context, flags)
  // Only checked: a bridge that does not start because of a wrong setting must not look well here.
  settingsOf(context, flags)
  const relay = relayStatusOf(directory)
  if (!existsSync(directoryLayout(directory).databasePath)) {
    // The directory of `cm-server` alone.
    if (relay !== undefined) {
      return printResult(context, flags, { json: { relay }, lines: ['CM server', ...relayLines(relay)] })
    }
    throw new CliError(`${directory} is not set up yet: run "cmbridge init"`)
  }
  const running = await findRunningBridge(directory)
  const read = openStoreForReading(directory)
  try {
    const status = readStatus(read)
    printResult(context, flags, {
      json: {
        running: running !== undefined,
        pid: running?.pid ?? null,
        addresses: running?.addresses ?? null,
        ...status,
        relay: relay ?? null,
      },
      lines: [
        runningLine(running),
        `accounts  ${status.accounts}`,
        ...Object.entries(status.work).map(
          ([stage, count]) => `work      ${stage}: ${count.waiting} waiting, ${count.running} running`,
        ),
        ...status.failing.map(
          ({ row, stage, failures, lastError, nextAttemptMs }) =>
            `failing   ${row} ${stage}, ${failures} times: ${lastError}; again at ${new Date(nextAttemptMs).toISOString()}`,
        ),
        ...relayLines(relay),
      ],
    })
  } finally {
    read.close()
  }
}

function runningLine(running: RunningBridge | undefined): string {
  if (running === undefined) return 'bridge    does not run ("cmbridge serve" starts it)'
  return `bridge    runs as process ${running.pid} since ${new Date(running.startedAtMs).toISOString()}`
}

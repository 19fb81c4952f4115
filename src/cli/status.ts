import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { readStatus } from '../bridge/read-status.ts'
import type { RelayStatus } from '../store/cm-relay-status.ts'
import { directoryLayout } from '../store/database-file.ts'
import { livingLockHolder } from '../store/instance-lock.ts'
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
      return printLoneServer(context, flags, { directory, relay })
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
          ({ row, account, stage, failures, lastError, nextAttemptMs }) =>
            `failing   ${stage} of ${account} (${row}), ${failures} times: ${lastError}; again at ${new Date(nextAttemptMs).toISOString()}`,
        ),
        ...relayLines(relay),
      ],
    })
  } finally {
    read.close()
  }
}

/** `cm-server` has no control socket; its process says by the lock's note that it runs. */
function printLoneServer(
  context: CliContext,
  flags: CommonFlags,
  { directory, relay }: { readonly directory: string; readonly relay: RelayStatus },
): void {
  const holder = livingLockHolder(directory)
  printResult(context, flags, {
    json: { running: holder !== undefined, pid: holder?.pid ?? null, relay },
    lines: [
      holder === undefined
        ? 'CM server does not run ("cmbridge cm-server" starts it)'
        : `CM server runs as process ${holder.pid} since ${new Date(holder.startedAtMs).toISOString()}`,
      ...relayLines(relay),
    ],
  })
}

function runningLine(running: RunningBridge | undefined): string {
  if (running === undefined) return 'bridge    does not run ("cmbridge serve" starts it)'
  return `bridge    runs as process ${running.pid} since ${new Date(running.startedAtMs).toISOString()}`
}

import type { Command } from 'commander'
import { openStore } from '../store/open-store.ts'
import { type CliContext, type CommonFlags, dataDirectory, printResult, settingsOf } from './context.ts'
import { lockInstallation, openCertificates } from './installation.ts'

/** `cmbridge init`: makes the data directory, its database and its certificates; does no harm when they are there. */
export function registerInit(program: Command, context: CliContext): void {
  program
    .command('init')
    .description('set up the data directory: database, certificates')
    .action((_flags: unknown, command: Command) => init(context, command.optsWithGlobals<CommonFlags>()))
}

async function init(context: CliContext, flags: CommonFlags): Promise<void> {
  const config = settingsOf(context, flags)
  const directory = dataDirectory(context, flags)
  const { clock, randomBytes } = context
  const holder = { pid: process.pid, startedAtMs: clock.now(), verb: 'init', runDirectory: '' }
  const { lock } = lockInstallation(directory, holder)
  try {
    const certificates = await openCertificates(context, directory, config)
    const store = await openStore({ directory, clock, randomBytes, onFailure: () => undefined })
    await store.close()
    printResult(context, flags, {
      json: { dataDirectory: directory, authorityFile: certificates.authorityFile },
      lines: [
        `data       ${directory}`,
        `authority  ${certificates.authorityFile}   (import it into your mail program)`,
        'next       "cmbridge account add ADDRESS", then "cmbridge serve"',
      ],
    })
  } finally {
    lock.release()
  }
}

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { encodeAccountFiles } from '../bridge/export-account.ts'
import { exportOwnSecretKey, readKeyReport } from '../bridge/key-report.ts'
import { withAccount } from './account-show.ts'
import { CliError, misuse } from './cli-error.ts'
import { type CliContext, type CommonFlags, printResult } from './context.ts'
import { newPassphrase, type PassphraseFlags } from './key-export.ts'

/** `cmbridge account export` */
export function registerAccountExport(account: Command, context: CliContext): void {
  account
    .command('export <account> <directory>')
    .description('write the account as the original client has it: config.txt, secret.asc, bypass_tokens.txt')
    .option(
      '--passphrase-file <file>',
      'a passphrase for the key, in the first line; asked for on a terminal',
    )
    .option('--no-passphrase', 'the secret key as it is: whoever reads the file has it')
    .action((name: string, directory: string, _flags: unknown, command: Command) =>
      exportAccount(context, command.optsWithGlobals<CommonFlags & PassphraseFlags>(), { name, directory }),
    )
}

async function exportAccount(
  context: CliContext,
  flags: CommonFlags & PassphraseFlags,
  { name, directory }: { readonly name: string; readonly directory: string },
): Promise<void> {
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw misuse(`${directory} is not empty: name a new directory`)
  const passphrase = await newPassphrase(context, flags)
  const nowMs = context.clock.now()
  const files = await withAccount(context, flags, name, async (read, account) => {
    const key = await readKeyReport(read, account.id, nowMs)
    const secret = await exportOwnSecretKey(read, account.id, { passphrase, nowMs })
    if (key.kind === 'unreadable' || secret.kind === 'unreadable')
      throw new CliError(`the key of ${account.address} cannot be used: nothing was written`)
    const userId = key.report.certificate.primaryUserId ?? account.address
    return { ...encodeAccountFiles(read, { account, userId, nowMs }), 'secret.asc': secret.armored.reveal() }
  })
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(join(directory, file), text, { flag: 'wx', mode: 0o600 })
  }
  const home = join(directory, 'gpg')
  printResult(context, flags, {
    json: { written: directory, files: Object.keys(files) },
    lines: [
      `written  ${Object.keys(files).join(', ')} in ${directory}`,
      `next     mkdir -m 700 ${JSON.stringify(home)} && gpg --homedir ${JSON.stringify(home)} --import ${JSON.stringify(join(directory, 'secret.asc'))}`,
      'then     put the directory among the accounts of the original client',
    ],
  })
}

import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { Secret } from '../base/secret.ts'
import { exportOwnSecretKey, exportPublicKey } from '../bridge/key-report.ts'
import { withAccount } from './account-show.ts'
import { CliError, misuse } from './cli-error.ts'
import { type CliContext, type CommonFlags, printResult } from './context.ts'
import { readPassphraseFile } from './key-file.ts'

/** How a secret key is to be locked when it leaves. */
export interface PassphraseFlags {
  readonly passphraseFile?: string
  /** commander's form of `--no-passphrase`. */
  readonly passphrase?: boolean
}

interface ExportFlags extends CommonFlags, PassphraseFlags {
  readonly secret?: boolean
  readonly output?: string
}

/** `cmbridge key export` */
export function registerKeyExport(key: Command, context: CliContext): void {
  key
    .command('export <account>')
    .description('print the public key as it is announced, or the secret one for a backup or gpg')
    .option('--secret', 'the secret key, with every old subkey, under a passphrase')
    .option(
      '--passphrase-file <file>',
      'the passphrase to put on it, in the first line; asked for on a terminal',
    )
    .option('--no-passphrase', 'the secret key as it is: whoever reads the file has it')
    .option('--output <file>', 'write it there, for you alone; the file must not exist')
    .action((account: string, _flags: unknown, command: Command) =>
      exportKey(context, command.optsWithGlobals<ExportFlags>(), account),
    )
}

async function exportKey(context: CliContext, flags: ExportFlags, name: string): Promise<void> {
  if (flags.secret !== true && (flags.passphraseFile !== undefined || flags.passphrase === false))
    throw misuse('a passphrase is for --secret only')
  const passphrase = flags.secret === true ? await newPassphrase(context, flags) : undefined
  const armored = await withAccount(context, flags, name, async (read, { id }) => {
    if (flags.secret !== true) return await exportPublicKey(read, id)
    const nowMs = context.clock.now()
    const exported = await exportOwnSecretKey(read, id, { passphrase, nowMs })
    if (exported.kind === 'unreadable') throw new CliError(`the key cannot be used: ${exported.reason}`)
    return exported.armored.reveal()
  })
  if (flags.output === undefined) {
    printResult(context, flags, { json: { armored }, lines: armored.trimEnd().split('\n') })
    return
  }
  writeNew(flags.output, armored)
  printResult(context, flags, { json: { written: flags.output }, lines: [`written to ${flags.output}`] })
}

/** The passphrase for a secret key that leaves; undefined only when its owner said so. Throws CliError. */
export async function newPassphrase(
  context: CliContext,
  flags: PassphraseFlags,
): Promise<Secret<string> | undefined> {
  if (flags.passphraseFile !== undefined) {
    if (flags.passphrase === false) throw misuse('give --passphrase-file or --no-passphrase, not both')
    return new Secret(readPassphraseFile(flags.passphraseFile))
  }
  if (flags.passphrase === false) return undefined
  if (context.askSecret === undefined)
    throw misuse('give --passphrase-file for the secret key, or --no-passphrase if the file will be safe')
  const first = await context.askSecret('new passphrase for the exported key: ')
  if (first === '') throw misuse('the passphrase is empty: --no-passphrase exports without one')
  if ((await context.askSecret('once more: ')) !== first) throw misuse('these were two different passphrases')
  return new Secret(first)
}

/** Writes a file of our own (0600); throws CliError when it is there already or cannot be. */
function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: 0o600 })
  } catch (cause) {
    const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST'
    if (isThere) throw new CliError(`--output ${path}: there is such a file already; name another one`)
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CliError(`--output ${path}: ${why}`)
  }
}

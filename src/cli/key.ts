import type { Command } from 'commander'
import { type CliContext, type CommonFlags, printResult } from './context.ts'
import { registerKeyExport } from './key-export.ts'
import { passphraseOf, readKeyFile } from './key-file.ts'
import { groupsOfFour, registerKeyShow } from './key-show.ts'
import type { KeyImportArgs, KeyImportResult, KeyRotateArgs, KeyRotateResult } from './key-verbs.ts'
import { runWritingVerb } from './writing-verb.ts'

interface RotateFlags extends CommonFlags {
  readonly force?: boolean
}

interface ImportFlags extends CommonFlags {
  readonly passphraseFile?: string
}

/** `cmbridge key show|rotate|import|export` */
export function registerKey(program: Command, context: CliContext): void {
  const key = program.command('key').description('the OpenPGP keys of your own accounts')
  registerKeyShow(key, context)
  key
    .command('rotate <account>')
    .description('encrypt to a new subkey from now on and tell others; old mail stays readable here')
    .option('--force', 'although the last change is less than a week ago, and some may miss it')
    .action((account: string, _flags: unknown, command: Command) =>
      rotateKey(context, command.optsWithGlobals<RotateFlags>(), account),
    )
  key
    .command('import <account> <file>')
    .description(
      'add what another export of the same secret key has; mail that could not be read is tried again',
    )
    .option('--passphrase-file <file>', 'its passphrase, in the first line; asked for on a terminal')
    .action((account: string, file: string, _flags: unknown, command: Command) =>
      importKey(context, command.optsWithGlobals<ImportFlags>(), { account, file }),
    )
  registerKeyExport(key, context)
}

async function rotateKey(context: CliContext, flags: RotateFlags, account: string): Promise<void> {
  const args: KeyRotateArgs = { account, isForced: flags.force === true }
  const result = (await runWritingVerb(context, flags, { verb: 'key rotate', args })) as KeyRotateResult
  printResult(context, flags, {
    json: result,
    lines: [
      `account     ${result.address}`,
      `key         ${groupsOfFour(result.keyId)}   (as before)`,
      `new subkey  ${groupsOfFour(result.newSubkey)}`,
      'next        it is announced at once while "cmbridge serve" runs, else at its next start',
    ],
  })
}

async function importKey(
  context: CliContext,
  flags: ImportFlags,
  { account, file }: { readonly account: string; readonly file: string },
): Promise<void> {
  const text = readKeyFile('FILE', file)
  const args: KeyImportArgs = { account, text, passphrase: await passphraseOf(context, flags, text) }
  const result = (await runWritingVerb(context, flags, { verb: 'key import', args })) as KeyImportResult
  const { address, keyId, gained, isNew, retried } = result
  printResult(context, flags, {
    json: result,
    lines: [
      `account     ${address}`,
      `key         ${groupsOfFour(keyId)}`,
      ...gained.map((fingerprint) => `new secret  ${groupsOfFour(fingerprint)}`),
      ...(isNew ? [] : ['            everything in the file was here already']),
      `            ${retried} unreadable messages are tried again`,
    ],
  })
}

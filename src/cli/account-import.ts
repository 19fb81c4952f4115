import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { MAX_ACCOUNT_CONFIG_BYTES, parseAccountConfig } from '../cm/account-config.ts'
import { MAX_BYPASS_TOKENS_BYTES } from '../cm/bypass-tokens-file.ts'
import { CliError, misuse } from './cli-error.ts'
import { type CliContext, type CommonFlags, printResult } from './context.ts'
import { isLockedByOthers } from './held-files.ts'
import type { AccountImportArgs, AccountImportResult } from './import-verbs.ts'
import { passphraseOf, readKeyFile } from './key-file.ts'
import { runWritingVerb } from './writing-verb.ts'

interface ImportFlags extends CommonFlags {
  readonly key?: string
  readonly passphraseFile?: string
}

/** `cmbridge account import` */
export function registerAccountImport(account: Command, context: CliContext): void {
  account
    .command('import <directory>')
    .description(
      'take over an account of the original client: key, servers, tokens; nothing is written there',
    )
    .option('--key <file>', 'its secret key, as gpg exports it')
    .option(
      '--passphrase-file <file>',
      'the passphrase of the key, in the first line; asked for on a terminal',
    )
    .action((directory: string, _flags: unknown, command: Command) =>
      importAccount(context, command.optsWithGlobals<ImportFlags>(), directory),
    )
}

async function importAccount(context: CliContext, flags: ImportFlags, directory: string): Promise<void> {
  if (!existsSync(join(directory, 'config.txt')))
    throw misuse(`${directory} has no config.txt: name the directory of one account`)
  if (isLockedByOthers(join(directory, 'LOCKFILE')))
    throw new CliError(`the original client has ${directory} in use: end it first`)
  const config = readText(join(directory, 'config.txt'), MAX_ACCOUNT_CONFIG_BYTES)
  const tokensFile = join(directory, 'bypass_tokens.txt')
  const keyFile = flags.key ?? keyringOf(directory, parseAccountConfig(config).keyId)
  const secretKey = readKeyFile('--key', keyFile)
  const args: AccountImportArgs = {
    config,
    secretKey,
    tokens: existsSync(tokensFile) ? readText(tokensFile, MAX_BYPASS_TOKENS_BYTES) : null,
    passphrase: await passphraseOf(context, flags, secretKey),
  }
  const answer = await runWritingVerb(context, flags, { verb: 'account import', args })
  const result = answer as AccountImportResult
  printResult(context, flags, { json: result, lines: linesOf(result) })
}

function linesOf(result: AccountImportResult): string[] {
  return [
    `account    ${result.address}`,
    `key        ${result.keyId}`,
    ...(result.appPassword === null
      ? []
      : [`password   ${result.appPassword}   (for your mail program; shown only now)`]),
    ...result.taken.map((line) => `taken      ${line}`),
    ...result.notTaken.map((line) => `not taken  ${line}`),
    ...result.settings.map((line) => `set        ${line}   (in your settings, for all accounts)`),
    'next       do not fetch mail with both programs: what one has acknowledged the other may not get',
  ]
}

/**
 * GnuPG 1's secret keyring, which is a file of keys; newer ones have theirs in a form only gpg reads, and it is the
 * owner who runs that.
 */
function keyringOf(directory: string, keyId: string | undefined): string {
  const home = join(directory, 'gpg')
  const old = join(home, 'secring.gpg')
  const isNewer =
    existsSync(join(home, 'private-keys-v1.d')) && readdirSync(join(home, 'private-keys-v1.d')).length > 0
  if (!isNewer && (statSync(old, { throwIfNoEntry: false })?.size ?? 0) > 0) return old
  const command = `gpg --homedir ${JSON.stringify(home)} --armor --output secret.asc --export-secret-keys ${keyId ?? 'KEYID'}`
  throw misuse(`export the secret key first: ${command}; then give it with --key secret.asc`)
}

function readText(path: string, maxBytes: number): string {
  const found = statSync(path)
  // The size of anything else says nothing of how much comes out of it.
  if (!found.isFile()) throw misuse(`${path}: not a file`)
  if (found.size > maxBytes) throw misuse(`${path}: more than ${maxBytes / 1024} KiB`)
  return readFileSync(path, 'utf8')
}

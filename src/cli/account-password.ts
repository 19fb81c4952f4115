import type { Command } from 'commander'
import { type AppPassword, listAppPasswords } from '../store/account-queries.ts'
import type { AppPasswordScope } from '../store/app-password.ts'
import { withAccount } from './account-show.ts'
import type { PasswordAddArgs, PasswordAddResult, PasswordRevokeArgs } from './account-verbs.ts'
import { misuse } from './cli-error.ts'
import { type CliContext, type CommonFlags, printResult, settingsOf } from './context.ts'
import { runWritingVerb } from './writing-verb.ts'

interface AddFlags extends CommonFlags {
  readonly for?: string
}

/** `cmbridge account password add|list|revoke` */
export function registerAccountPassword(account: Command, context: CliContext): void {
  const password = account.command('password').description('passwords for mail programs: one for each device')
  password
    .command('add <account> <name>')
    .description('make a password; it is printed once')
    .option('--for <imap|smtp>', 'for reading or sending only')
    .action((name: string, label: string, _flags: unknown, command: Command) =>
      addPassword(context, command.optsWithGlobals<AddFlags>(), { account: name, name: label }),
    )
  password
    .command('list <account>')
    .description('list the passwords: name, made, last used; never the password')
    .action((name: string, _flags: unknown, command: Command) =>
      listPasswords(context, command.optsWithGlobals<CommonFlags>(), name),
    )
  password
    .command('revoke <account> <name>')
    .description('no login with this password any more')
    .action((name: string, label: string, _flags: unknown, command: Command) =>
      revokePassword(context, command.optsWithGlobals<CommonFlags>(), { account: name, name: label }),
    )
}

interface Named {
  readonly account: string
  readonly name: string
}

async function addPassword(context: CliContext, flags: AddFlags, named: Named): Promise<void> {
  const args: PasswordAddArgs = { ...named, scopes: scopesOf(flags.for) }
  const result = await runWritingVerb(context, flags, { verb: 'account password add', args })
  const { appPassword } = result as PasswordAddResult
  printResult(context, flags, {
    json: { ...args, appPassword },
    lines: [`password  ${appPassword}   (for your mail program; shown only now)`],
  })
}

async function listPasswords(context: CliContext, flags: CommonFlags, account: string): Promise<void> {
  settingsOf(context, flags)
  const passwords = await withAccount(context, flags, account, (read, { id }) => listAppPasswords(read, id))
  printResult(context, flags, {
    json: passwords,
    lines: passwords.length === 0 ? ['no passwords'] : passwords.map(lineOf),
  })
}

function lineOf({ name, scopes, createdAtMs, lastUsedAtMs }: AppPassword): string {
  const used = lastUsedAtMs === null ? 'never used' : `last used ${new Date(lastUsedAtMs).toISOString()}`
  return [name, scopes.join('+'), `made ${new Date(createdAtMs).toISOString()}`, used].join('  ')
}

async function revokePassword(context: CliContext, flags: CommonFlags, args: Named): Promise<void> {
  const revoke: PasswordRevokeArgs = args
  await runWritingVerb(context, flags, { verb: 'account password revoke', args: revoke })
  printResult(context, flags, { json: { revoked: args.name }, lines: [`revoked ${args.name}`] })
}

function scopesOf(text: string | undefined): AppPasswordScope[] {
  if (text === undefined) return ['imap', 'smtp']
  if (text !== 'imap' && text !== 'smtp') throw misuse(`--for ${text}: give imap or smtp`)
  return [text]
}

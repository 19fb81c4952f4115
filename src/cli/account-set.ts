import type { Command } from 'commander'
import { showAccount } from './account-show.ts'
import type { AccountSetArgs } from './account-verbs.ts'
import { misuse } from './cli-error.ts'
import { collectServers } from './collect-option.ts'
import type { CliContext, CommonFlags } from './context.ts'
import { secretFlag } from './secret-flag.ts'
import { runWritingVerb } from './writing-verb.ts'

interface SetFlags extends CommonFlags {
  readonly name?: string
  readonly mailboxes?: string
  readonly cost?: string
  readonly server?: readonly string[]
  readonly authKey?: string
  readonly authKeyFile?: string
  readonly oldServer?: readonly string[]
  readonly oldAuthKey?: string
  readonly oldAuthKeyFile?: string
  readonly oldUntil?: string
  readonly publishServer?: readonly string[]
  readonly publishAuthKey?: string
  readonly publishAuthKeyFile?: string
  readonly bypassTokens?: string
  readonly folderSync?: string
  readonly rotateDays?: string
}

/** `cmbridge account set` */
export function registerAccountSet(account: Command, context: CliContext): void {
  account
    .command('set <account>')
    .description('change what an account tells its network; it is announced again at once')
    .option('--name <text>', 'your name as others see it')
    .option(
      '--server <host:port,…>',
      'your servers; those you leave are looked at for 12 days more',
      collectServers,
    )
    .option('--auth-key <key>', 'the authentication key for them; none takes it away')
    .option('--auth-key-file <file>', 'the same from the first line of a file')
    .option('--mailboxes <count>', 'how many mailboxes others choose from: 2, 4, 8 or 16')
    .option(
      '--cost <bits>',
      'the work you ask of senders: 24 (default), 32, 36 or 40 bits; less work is Junk',
    )
    .option(
      '--old-server <host:port,…>',
      'servers that mail may still come to; none forgets them',
      collectServers,
    )
    .option('--old-auth-key <key>', 'the authentication key for them; none takes it away')
    .option('--old-auth-key-file <file>', 'the same from the first line of a file')
    .option('--old-until <date>', 'the last day they are looked at, e.g. 2026-12-24')
    .option(
      '--publish-server <host:port,…>',
      'more servers to put your key on, e.g. your domain’s; none',
      collectServers,
    )
    .option('--publish-auth-key <key>', 'the authentication key for them; none takes it away')
    .option('--publish-auth-key-file <file>', 'the same from the first line of a file')
    .option('--bypass-tokens <on|off>', 'people you wrote to may answer without the work (on)')
    .option('--folder-sync <on|off>', 'apply what your other Confidant Mail clients read or deleted (off)')
    .option('--rotate-days <days>', 'change the encryption key every so many days; 0: only when you say so')
    .action((name: string, _flags: unknown, command: Command) =>
      setAccount(context, command.optsWithGlobals<SetFlags>(), name),
    )
}

async function setAccount(context: CliContext, flags: SetFlags, account: string): Promise<void> {
  const args = argsOf(flags, account)
  if (Object.values(args).filter((value) => value !== undefined).length < 2) {
    throw misuse('nothing to change is given; see cmbridge account set --help')
  }
  await runWritingVerb(context, flags, { verb: 'account set', args })
  await showAccount(context, flags, account)
}

function argsOf(flags: SetFlags, account: string): AccountSetArgs {
  return {
    account,
    displayName: flags.name,
    mailboxCount: numberOf('--mailboxes', flags.mailboxes),
    costBits: numberOf('--cost', flags.cost),
    servers: serversOf(flags.server),
    authKey: secretFlag('--auth-key', flags.authKey, flags.authKeyFile),
    oldServers: serversOf(flags.oldServer),
    oldAuthKey: secretFlag('--old-auth-key', flags.oldAuthKey, flags.oldAuthKeyFile),
    oldUntil: flags.oldUntil,
    publishServers: serversOf(flags.publishServer),
    publishAuthKey: secretFlag('--publish-auth-key', flags.publishAuthKey, flags.publishAuthKeyFile),
    usesBypassTokens: switchOf('--bypass-tokens', flags.bypassTokens),
    appliesFolderSync: switchOf('--folder-sync', flags.folderSync),
    rotateDays: numberOf('--rotate-days', flags.rotateDays),
  }
}

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,6}$/.test(text)) throw misuse(`${flag} ${text}: give a number`)
  return Number(text)
}

function switchOf(flag: string, text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  if (text !== 'on' && text !== 'off') throw misuse(`${flag} ${text}: give on or off`)
  return text === 'on'
}

/** `none` alone is the empty list. */
function serversOf(servers: readonly string[] | undefined): readonly string[] | undefined {
  return servers?.length === 1 && servers[0] === 'none' ? [] : servers
}

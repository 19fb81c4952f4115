import type { Command } from 'commander'
import { registerAccountExport } from './account-export.ts'
import { registerAccountImport } from './account-import.ts'
import { registerAccountPassword } from './account-password.ts'
import { registerAccountSet } from './account-set.ts'
import { registerAccountShow } from './account-show.ts'
import type { AccountAddArgs, AccountAddResult, AccountRemoveArgs, AccountSetArgs } from './account-verbs.ts'
import { readAutoconfig } from './autoconfig.ts'
import { collectServers } from './collect-option.ts'
import { type CliContext, type CommonFlags, printResult, settingsOf } from './context.ts'
import { passphraseOf, readKeyFile } from './key-file.ts'
import { readAccounts } from './read-accounts.ts'
import { secretFlag } from './secret-flag.ts'
import { parseHostPort } from './serve-addresses.ts'
import { runWritingVerb } from './writing-verb.ts'

interface AddFlags extends CommonFlags {
  readonly name?: string
  readonly server?: readonly string[]
  readonly authKey?: string
  readonly authKeyFile?: string
  readonly key?: string
  readonly passphraseFile?: string
  readonly autoconfig?: string
}

/** `cmbridge account add|list|show|set|password|remove` */
export function registerAccount(program: Command, context: CliContext): void {
  const account = program.command('account').description('the addresses this bridge has mail for')
  account
    .command('add <address>')
    .description('add an address, with a new key or your own; prints the password for the mail program once')
    .option('--name <text>', 'your name as others see it')
    .option('--server <host:port,…>', 'your Confidant Mail servers, the preferred one first', collectServers)
    .option('--auth-key <key>', 'the authentication key you got from the server')
    .option('--auth-key-file <file>', 'the same from the first line of a file')
    .option('--key <file>', 'your OpenPGP secret key, as gpg exports it')
    .option('--passphrase-file <file>', 'its passphrase, in the first line; asked for on a terminal')
    .option('--autoconfig <url|file>', 'servers and more from a document your provider gave you, over https')
    .action((address: string, _flags: unknown, command: Command) =>
      addAccount(context, command.optsWithGlobals<AddFlags>(), address),
    )
  account
    .command('list')
    .description('list the accounts')
    .action((_flags: unknown, command: Command) =>
      listAccounts(context, command.optsWithGlobals<CommonFlags>()),
    )
  registerAccountShow(account, context)
  registerAccountSet(account, context)
  registerAccountPassword(account, context)
  registerAccountImport(account, context)
  registerAccountExport(account, context)
  account
    .command('remove <account>')
    .description('remove an account, its key and its mail from this bridge')
    .action((name: string, _flags: unknown, command: Command) =>
      removeAccount(context, command.optsWithGlobals<CommonFlags>(), name),
    )
}

async function addAccount(context: CliContext, flags: AddFlags, address: string): Promise<void> {
  const key = flags.key === undefined ? undefined : readKeyFile('--key', flags.key)
  const auto = flags.autoconfig === undefined ? undefined : await readAutoconfig(flags.autoconfig)
  const authKey = secretFlag('--auth-key', flags.authKey, flags.authKeyFile)
  const args: AccountAddArgs = {
    address,
    displayName: flags.name ?? '',
    servers: flags.server ?? auto?.servers ?? [],
    authKey: (authKey === undefined ? auto?.authKey : authKey) ?? null,
    secretKeyArmor: key ?? null,
    passphrase: await passphraseOf(context, flags, key),
  }
  const result = (await runWritingVerb(context, flags, { verb: 'account add', args })) as AccountAddResult
  if (auto?.further !== undefined) {
    const further: AccountSetArgs = { account: result.address, ...auto.further }
    await runWritingVerb(context, flags, { verb: 'account set', args: further })
  }
  printResult(context, flags, {
    json: { ...result, ...(auto === undefined ? {} : { settings: auto.settings, notTaken: auto.notTaken }) },
    lines: [
      `account   ${result.address}`,
      `key       ${result.keyId}`,
      `password  ${result.appPassword}   (for your mail program; shown only now)`,
      ...(auto?.settings ?? []).map((line) => `set       ${line}   (in your settings, for all accounts)`),
      ...(auto?.notTaken ?? []).map((line) => `not taken ${line}`),
      ...serverAdvice(args.servers, { ...result, ownServer: ownServerOf(context, flags) }),
      'next      "cmbridge serve" if it does not run yet, and "cmbridge info" for the settings of your mail program',
    ],
  })
}

/** Without a server there is no mail, and without its key the server keeps none. */
function serverAdvice(
  servers: readonly string[],
  { address, hasAuthKey, ownServer }: ServerAdvice,
): string[] {
  if (hasAuthKey) return []
  const set = `cmbridge account set ${address}`
  const server = ownServer === undefined ? 'HOST:PORT --auth-key KEY' : ownServer
  return servers.length === 0
    ? [`server    none yet: "${set} --server ${server}" before you can send or receive`]
    : [`server    without an authentication key it will hardly keep mail: "${set} --auth-key KEY"`]
}

interface ServerAdvice extends Pick<AccountAddResult, 'address' | 'hasAuthKey'> {
  /** HOST:PORT of our own CM server, which makes the key itself; undefined when there is none. */
  readonly ownServer: string | undefined
}

function ownServerOf(context: CliContext, flags: CommonFlags): string | undefined {
  const { enabled, listen } = settingsOf(context, flags).cmServer
  if (!enabled) return undefined
  const { host, port } = parseHostPort(listen)
  // Where others reach it, nobody here knows; port 0 is another one after each start.
  if (port === 0) return undefined
  return ['0.0.0.0', '::'].includes(host) ? `HOST:${port}` : listen
}

function listAccounts(context: CliContext, flags: CommonFlags): void {
  settingsOf(context, flags)
  const accounts = readAccounts(context, flags)
  printResult(context, flags, {
    json: accounts,
    lines:
      accounts.length === 0
        ? ['no accounts; "cmbridge account add ADDRESS" makes one']
        : accounts.map(({ address, displayName, keyId }) =>
            [address, keyId, displayName].join('  ').trimEnd(),
          ),
  })
}

async function removeAccount(context: CliContext, flags: CommonFlags, account: string): Promise<void> {
  const args: AccountRemoveArgs = { account }
  await runWritingVerb(context, flags, { verb: 'account remove', args })
  printResult(context, flags, { json: { removed: account }, lines: [`removed ${account}`] })
}

import type { Command } from 'commander'
import { registerCmServerPrune } from './cm-server-prune.ts'
import { registerCmServerReport } from './cm-server-report.ts'
import type { CliContext, CommonFlags } from './context.ts'

/** A flag of the verb is a shorter way to give a setting; what it may hold is the setting's business. */
interface SettingFlag {
  readonly flag: string
  readonly setting: string
  readonly help: string
}

const SETTING_FLAGS: readonly SettingFlag[] = [
  { flag: '--listen <host:port>', setting: 'listen', help: 'where to listen' },
  {
    flag: '--auth <file>',
    setting: 'authFile',
    help: "who may log in, in the reference server's auth.txt format; read again when it changes",
  },
  { flag: '--connections <number>', setting: 'connections', help: 'connections at once; more are told BUSY' },
  { flag: '--dns-txt <true|false>', setting: 'dnsTxt', help: 'answer DNS TXT' },
  {
    flag: '--anonymous-proxy <true|false>',
    setting: 'anonymousProxy',
    help: 'pass on blocks for strangers too: an open relay',
  },
  {
    flag: '--replicate-to <host:port>',
    setting: 'replicateTo',
    help: 'hand everything that is stored to this server',
  },
  {
    flag: '--replication-key <file>',
    setting: 'replicationKeyFile',
    help: 'key of the account "replication" at that server, mode 0600',
  },
  {
    flag: '--replication-certificate <hex>',
    setting: 'replicationCertificate',
    help: "SHA-1 or SHA-256 of that server's certificate",
  },
  {
    flag: '--notify <file>',
    setting: 'notifyFile',
    help: "who is told of new mail by ordinary mail, in the reference server's notify.txt format; read again when it changes",
  },
]

const EXPLANATION = `
The directory of --data holds blocks.db, payloads/, and what you may put there: auth.txt, notify.txt, and a certificate
of your own as cm-server.pem with cm-server.key (RSA or ECDSA; made at the first start). The administrator is the
account "administrator" of auth.txt: it adds and disables keys by ADDLOGIN, RMLOGIN and GENLOGIN, and ends the server by
SHUTDOWN. What it said of a key beats auth.txt, except that a key disabled there stays disabled.

With --replicate-to, blocks and accounts that change here are handed to the other server, in order, until it has them;
what was there before is not. Its accounts need "replication" with the key of --replication-key. Two servers can name
each other. STORE PROXY sends to public addresses and to this server itself; others must be in cm.privateServers.
"cmbridge status --data DIR" shows what waits and what fails.`

/** `cmbridge cm-server`: the CM server alone, on a directory of its own, until SIGTERM, SIGINT or SHUTDOWN. */
export function registerCmServer(program: Command, context: CliContext): void {
  const command = program
    .command('cm-server')
    .description('run a Confidant Mail server alone, with --data as its own directory')
    .addHelpText('after', EXPLANATION)
  for (const { flag, setting, help } of SETTING_FLAGS) command.option(flag, `${help} (cmServer.${setting})`)
  registerCmServerReport(command, context)
  registerCmServerPrune(command, context)
  command.action(async (own: Readonly<Record<string, string>>, self: Command) => {
    const { runCmServer } = await import('./run-cm-server.ts')
    const flags = self.optsWithGlobals<CommonFlags>()
    await runCmServer(context, { ...flags, set: [...(flags.set ?? []), ...settingsFrom(own, command)] })
  })
}

/** The flags that were given, as `--set` has them; they come last and win. */
function settingsFrom(given: Readonly<Record<string, string>>, command: Command): string[] {
  return command.options.flatMap((option) => {
    const value = given[option.attributeName()]
    const found = SETTING_FLAGS.find(({ flag }) => flag === option.flags)
    return value === undefined || found === undefined ? [] : [`cmServer.${found.setting}=${value}`]
  })
}

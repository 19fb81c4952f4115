import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { directoryLayout } from '../store/database-file.ts'
import { CliError } from './cli-error.ts'
import { type CliContext, type CommonFlags, dataDirectory, printResult, settingsOf } from './context.ts'
import { authorityFile } from './installation.ts'
import { readAccounts } from './read-accounts.ts'
import { findRunningBridge } from './running-bridge.ts'
import { configuredAddresses, type ServeAddress } from './serve-addresses.ts'

/** What a mail program is to be told about one protocol. */
interface ProtocolSettings {
  readonly host: string
  /** With STARTTLS; null when it is switched off. */
  readonly port: number | null
  /** With TLS from the first octet; null when it is switched off. */
  readonly tlsPort: number | null
}

/** `cmbridge info [account]`: the settings for the mail program. */
export function registerInfo(program: Command, context: CliContext): void {
  program
    .command('info [account]')
    .description('print the settings for your mail program')
    .action((account: string | undefined, _flags: unknown, command: Command) =>
      printInfo(context, command.optsWithGlobals<CommonFlags>(), account),
    )
}

async function printInfo(
  context: CliContext,
  flags: CommonFlags,
  account: string | undefined,
): Promise<void> {
  const directory = dataDirectory(context, flags)
  const config = settingsOf(context, flags)
  const accounts = readAccounts(context, flags).filter(
    ({ address, shortName }) => account === undefined || account === address || account === shortName,
  )
  if (account !== undefined && accounts.length === 0) {
    throw new CliError(`no account ${account} here; "cmbridge account list" shows those there are`)
  }
  if (!existsSync(directoryLayout(directory).databasePath)) {
    throw new CliError(`${directory} is not set up yet: run "cmbridge init"`)
  }
  const running = await findRunningBridge(directory)
  const addresses = running?.addresses ?? configuredAddresses(config)
  const json = {
    running: running !== undefined,
    imap: protocolSettings(addresses.imap),
    smtp: protocolSettings(addresses.smtp),
    authorityFile: authorityFile(directory),
    accounts: accounts.map(({ address, shortName, displayName, keyId }) => ({
      user: address,
      shortName,
      displayName,
      keyId,
    })),
  }
  printResult(context, flags, {
    json,
    lines: [
      `IMAP       ${lineOf(json.imap)}`,
      `SMTP       ${lineOf(json.smtp)}`,
      `authority  ${json.authorityFile}   (${existsSync(json.authorityFile) ? 'import it into your mail program' : 'made when the bridge starts'})`,
      ...json.accounts.flatMap(({ user, keyId }) => [`user       ${user}   (key ${keyId})`]),
      ...(accounts.length === 0 ? ['user       none yet: "cmbridge account add ADDRESS"'] : []),
      'password   the one "cmbridge account add" printed',
      ...(json.running ? [] : ['           (the bridge does not run now: "cmbridge serve")']),
    ],
  })
}

/** IPv4 loopback when it is there: every mail program takes it, and the certificate names it. */
function protocolSettings(addresses: readonly ServeAddress[]): ProtocolSettings {
  const portOf = (implicitTls: boolean) => {
    const found = addresses.filter((address) => address.implicitTls === implicitTls)
    return found.find(({ host }) => host === '127.0.0.1') ?? found[0]
  }
  const [plain, tls] = [portOf(false), portOf(true)]
  return {
    host: (plain ?? tls)?.host ?? '127.0.0.1',
    port: plain?.port ?? null,
    tlsPort: tls?.port ?? null,
  }
}

function lineOf({ host, port, tlsPort }: ProtocolSettings): string {
  const ways = [
    ...(port === null ? [] : [`port ${port} (STARTTLS)`]),
    ...(tlsPort === null ? [] : [`port ${tlsPort} (SSL/TLS)`]),
  ]
  return ways.length === 0 ? 'switched off' : `${host}   ${ways.join(' or ')}`
}

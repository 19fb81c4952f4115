import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { accountFor } from '../bridge/contact-administration.ts'
import { type ContactView, findContacts, readContacts, viewContact } from '../bridge/read-contacts.ts'
import type { Account } from '../store/account-queries.ts'
import { directoryLayout } from '../store/database-file.ts'
import { openStoreForReading } from '../store/open-store.ts'
import type { ReadConnection } from '../store/read-connection.ts'
import { CliError } from './cli-error.ts'
import { collectServers } from './collect-option.ts'
import { contactLine, contactLines, printable } from './contact-lines.ts'
import type {
  ContactArgs,
  ContactLookupArgs,
  ContactLookupResult,
  ContactRefreshResult,
} from './contact-verbs.ts'
import { type CliContext, type CommonFlags, dataDirectory, printResult, settingsOf } from './context.ts'
import { runWritingVerb } from './writing-verb.ts'

interface ContactFlags extends CommonFlags {
  readonly account?: string
  readonly server?: readonly string[]
}

/** `cmbridge contact list|show|verify|block|unblock|refresh|lookup`: other people's keys (design 9). */
export function registerContact(program: Command, context: CliContext): void {
  const contact = program
    .command('contact')
    .description('the keys of the people you write with, and how far each is trusted')
    .option('--account <account>', 'whose contacts; needed when there are several accounts')
  const verb = (
    name: string,
    description: string,
    run: (flags: ContactFlags, given: string) => Promise<void>,
  ): Command =>
    contact
      .command(name)
      .description(description)
      // A fingerprint may stand there in groups, without quotes.
      .action((given: readonly string[], _flags: unknown, command: Command) =>
        run(command.optsWithGlobals<ContactFlags>(), given.join(' ')),
      )
  contact
    .command('list')
    .description('list the contacts with their trust and fingerprints')
    .action((_flags: unknown, command: Command) =>
      listContacts(context, command.optsWithGlobals<ContactFlags>()),
    )
  verb('show <address-or-fingerprint...>', 'show all about a contact, and what to do', (flags, given) =>
    showContact(context, flags, given),
  )
  verb('verify <fingerprint...>', 'say that you compared this fingerprint with its owner', (flags, given) =>
    decide(context, flags, { verb: 'contact verify', contact: given }),
  )
  verb('block <fingerprint...>', 'have nothing to do with a key: it is no rival any more', (flags, given) =>
    decide(context, flags, { verb: 'contact block', contact: given }),
  )
  verb('unblock <fingerprint...>', 'take a block back', (flags, given) =>
    decide(context, flags, { verb: 'contact unblock', contact: given }),
  )
  verb('refresh <address-or-fingerprint...>', 'fetch a key again now, and look for rivals', (flags, given) =>
    refreshContacts(context, flags, given),
  )
  verb('lookup <address...>', 'ask every source who claims an address', (flags, given) =>
    lookUp(context, flags, given),
  ).option('--server <host:port,…>', 'ask these servers too', collectServers)
}

async function listContacts(context: CliContext, flags: ContactFlags): Promise<void> {
  const contacts = withAccount(context, flags, readContacts)
  printResult(context, flags, {
    json: contacts,
    lines: contacts.length === 0 ? ['no contacts yet'] : contacts.map(contactLine),
  })
}

async function showContact(context: CliContext, flags: ContactFlags, given: string): Promise<void> {
  const contacts = withAccount(context, flags, (read, account) =>
    findContacts(read, account, given).map((contact) => viewContact(read, account, contact)),
  )
  if (contacts.length === 0) {
    throw new CliError(`${printable(given)} is no contact; "cmbridge contact lookup ADDRESS" finds keys`)
  }
  printContacts(context, flags, { json: contacts, contacts })
}

async function decide(
  context: CliContext,
  flags: ContactFlags,
  { verb, contact }: { readonly verb: string; readonly contact: string },
): Promise<void> {
  const args: ContactArgs = { account: flags.account ?? null, contact }
  const decided = (await runWritingVerb(context, flags, { verb, args })) as ContactView
  printContacts(context, flags, { json: decided, contacts: [decided] })
}

async function refreshContacts(context: CliContext, flags: ContactFlags, contact: string): Promise<void> {
  const args: ContactArgs = { account: flags.account ?? null, contact }
  const request = { verb: 'contact refresh', args }
  const result = (await runWritingVerb(context, flags, request)) as ContactRefreshResult
  const extra = result.problems.map((problem) => `problem     ${printable(problem)}`)
  printContacts(context, flags, { json: result, contacts: result.contacts, extra })
}

async function lookUp(context: CliContext, flags: ContactFlags, address: string): Promise<void> {
  const { account = null, server: servers = [] } = flags
  const args: ContactLookupArgs = { account, address, servers }
  const request = { verb: 'contact lookup', args }
  const result = (await runWritingVerb(context, flags, request)) as ContactLookupResult
  const { found, unusable, unreachable } = result
  const extra = [
    ...(found.length === 0 ? [`no key that can be used was found for ${printable(address)}`] : []),
    ...unusable.map((reason) => `unusable    ${printable(reason)}`),
    ...(unreachable === null ? [] : [`no answer   ${printable(unreachable)}`]),
  ]
  printContacts(context, flags, { json: result, contacts: found, extra })
}

interface Shown {
  readonly json: unknown
  readonly contacts: readonly ContactView[]
  readonly extra?: readonly string[]
}

function printContacts(
  context: CliContext,
  flags: ContactFlags,
  { json, contacts, extra = [] }: Shown,
): void {
  const blocks = contacts.map(contactLines)
  printResult(context, flags, {
    json,
    lines: [...blocks.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines])), ...extra],
  })
}

/** Read beside a running bridge or without one. */
function withAccount<T>(
  context: CliContext,
  flags: ContactFlags,
  use: (read: ReadConnection, account: Account) => T,
): T {
  settingsOf(context, flags)
  const directory = dataDirectory(context, flags)
  if (!existsSync(directoryLayout(directory).databasePath)) {
    throw new CliError(`${directory} is not set up yet: run "cmbridge init"`)
  }
  const read = openStoreForReading(directory)
  try {
    const account = accountFor({ store: { read } }, flags.account ?? null)
    if ('kind' in account) throw new CliError(account.reason)
    return use(read, account)
  } finally {
    read.close()
  }
}

import { readFileSync, statSync } from 'node:fs'
import { type AccountConfig, parseAutoconfigDocument, type ServerList } from '../cm/account-config.ts'
import { type FetchOptions, fetchDocument } from '../net/fetch-document.ts'
import type { AccountSetArgs } from './account-verbs.ts'
import { CliError, misuse } from './cli-error.ts'

/** What an autoconfig document gives a new account (CM message 10.2). */
export interface Autoconfig {
  readonly servers: readonly string[]
  readonly authKey: string | undefined
  /** What goes beyond `account add`; undefined when nothing does. */
  readonly further: Omit<AccountSetArgs, 'account'> | undefined
  /** Settings of the installation to make by hand, `section.name=value`. */
  readonly settings: readonly string[]
  /** One line each, for people. */
  readonly notTaken: readonly string[]
}

const LIMITS: FetchOptions = { maxBytes: 64 * 1024, timeoutMs: 30_000 }

/** Reads the document from an https address or a file. Throws CliError. */
export async function readAutoconfig(source: string): Promise<Autoconfig> {
  const read = parseAutoconfigDocument(await textOf(source))
  if (read.kind === 'refused') throw new CliError(`--autoconfig ${source}: ${read.reason}`)
  return autoconfigOf(read.config)
}

async function textOf(source: string): Promise<string> {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(source)) {
    const fetched = await fetchDocument(source, LIMITS)
    if (fetched.kind === 'failed') throw new CliError(`--autoconfig ${source}: ${fetched.reason}`)
    return fetched.bytes.toString()
  }
  const found = statSync(source, { throwIfNoEntry: false })
  if (found === undefined || !found.isFile()) throw misuse(`--autoconfig ${source}: no such file`)
  if (found.size > LIMITS.maxBytes) throw misuse(`--autoconfig ${source}: too large`)
  return readFileSync(source, 'utf8')
}

/**
 * The reference takes EntangledServer as the list of servers, whatever Transport says, and a document with Mailboxes
 * makes it crash: documents are made for that.
 */
function autoconfigOf(config: AccountConfig): Autoconfig {
  const { transport, entangledServer, publishTransport, oldTransport, usesBypassTokens } = config
  const list = usable(entangledServer) ?? usable(transport)
  if (list === undefined)
    throw new CliError('the autoconfig document names no server (EntangledServer or Transport)')
  const publishServers = publishTransport?.servers ?? []
  const further = {
    ...(publishServers.length === 0
      ? {}
      : { publishServers, publishAuthKey: config.publishAuthKey?.reveal() ?? null }),
    ...(usesBypassTokens === undefined ? {} : { usesBypassTokens }),
  }
  const isOther = usable(transport) !== undefined && usable(transport)?.servers.join() !== list.servers.join()
  return {
    servers: list.servers,
    authKey: config.authKey?.reveal(),
    further: Object.keys(further).length === 0 ? undefined : further,
    settings: config.settings,
    notTaken: [
      ...config.complaints,
      ...(isOther ? [`Transport ${transport?.servers.join(', ')}: EntangledServer is what counts`] : []),
      ...(config.mailboxCount === undefined && config.costBits === undefined
        ? []
        : ['mailboxes and cost: "cmbridge account set" sets them']),
      ...(oldTransport === undefined ? [] : ['the old server: a new account has none']),
    ],
  }
}

function usable(list: ServerList | undefined): ServerList | undefined {
  return list === undefined || list.servers.length === 0 ? undefined : list
}

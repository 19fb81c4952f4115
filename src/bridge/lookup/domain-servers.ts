import { type ServerAttempt, withServers } from '../../cm/client/with-servers.ts'
import { parseServerAddress, parseTransport, type ServerAddress } from '../../cm/transport.ts'
import { asciiDomain } from '../../mail/address.ts'
import { anyAddress } from '../../net/address-guard.ts'
import type { ResolveTxt, TxtAnswer } from '../../net/dns-txt.ts'
import type { AccountId } from '../../store/ids.ts'
import { namedServersRequest } from '../bridge-context.ts'
import type { LookupContext } from './ask-for-keys.ts'

/** Which servers know the addresses of a domain: DNS `TXT cmsvr.<domain>` (CM wire 8.9). */

/** Who asks DNS (`lookup.dns`, `lookup.dnsBy`). */
export type DnsSource =
  | { readonly kind: 'off' }
  | { readonly kind: 'system'; readonly resolveTxt: ResolveTxt }
  /** CM servers, by `DNS TXT`; none: the account's own. */
  | { readonly kind: 'server'; readonly servers: readonly string[] }

/** What DNS says of a domain (CM wire 8.9). */
export type DomainServers =
  | { readonly kind: 'servers'; readonly servers: readonly ServerAddress[] }
  /** The domain names none; or there is no DNS here. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unreachable'; readonly reason: string }

/** The name of the record and of the certificate that vouches for the domain (design 9). */
export function domainServerName(domain: string): string {
  return `cmsvr.${domain}`
}

/** The domain that is asked about: behind the last `@`, as A-label, with a dot in it (CM wire 8.9); undefined for none. */
export function domainOf(address: string): string | undefined {
  const domain = asciiDomain(address)?.replace(/\.$/, '')
  return domain?.includes('.') === true ? domain : undefined
}

interface Asking {
  readonly context: LookupContext
  readonly dns: DnsSource
  readonly accountId: AccountId
  /** The account's own servers. */
  readonly ownServers: readonly ServerAddress[]
  readonly signal: AbortSignal
}

/** Never rejects for what the network does. */
export async function findDomainServers(domain: string, asking: Asking): Promise<DomainServers> {
  const name = domainServerName(domain)
  const answer = await askDns(name, asking)
  switch (answer.kind) {
    case 'records': {
      const servers = serversOfRecords(answer.records)
      return servers === undefined ? { kind: 'none' } : { kind: 'servers', servers }
    }
    case 'none':
      return { kind: 'none' }
    case 'failed':
      // A network of its own without any DNS: waiting for it would hold up every new address for ever.
      if (answer.noResolver === true) return { kind: 'none' }
      return { kind: 'unreachable', reason: `no answer from DNS for ${name}` }
  }
}

async function askDns(name: string, asking: Asking): Promise<TxtAnswer> {
  const { dns, signal } = asking
  switch (dns.kind) {
    case 'off':
      return { kind: 'none' }
    case 'system':
      return dns.resolveTxt(name, signal)
    case 'server':
      return askThroughServers(name, asking, dns.servers)
  }
}

/** Only the first line counts there, as for the reference client; a server that fails or knows nothing passes it on. */
async function askThroughServers(
  name: string,
  { context, accountId, ownServers, signal }: Asking,
  named: readonly string[],
): Promise<TxtAnswer> {
  const chosen = named.map(parseServerAddress).filter((server) => server !== undefined)
  const servers = chosen.length === 0 ? ownServers : chosen
  // Nobody to ask: as good as no DNS.
  if (servers.length === 0) return { kind: 'failed', noResolver: true }
  // All of them stand in the owner's settings.
  const request = { ...namedServersRequest(context, servers, accountId), judge: anyAddress, signal }
  const outcome = await withServers(request, async (session): Promise<ServerAttempt<TxtAnswer>> => {
    if (signal.aborted) return { kind: 'done', value: { kind: 'failed' } }
    const reply = await session.dnsTxt(name)
    if (reply.kind === 'refused') return { kind: 'next', reason: 'refused' }
    const [first] = reply.kind === 'records' ? reply.texts : []
    if (first === undefined) return { kind: 'next', reason: 'not-found' }
    return { kind: 'done', value: { kind: 'records', records: [[first]] } }
  })
  if (outcome.kind === 'done') return outcome.value
  return { kind: outcome.failures.some(({ reason }) => reason === 'not-found') ? 'none' : 'failed' }
}

/**
 * The first record that is a server list. A long list stands in several strings of one record: joined they are what the
 * domain's owner meant (RFC 7208 3.3 does the same); the reference reads the first string alone.
 */
function serversOfRecords(records: readonly (readonly string[])[]): readonly ServerAddress[] | undefined {
  for (const strings of records) {
    for (const text of [strings.join(''), strings[0] ?? '']) {
      const transport = parseTransport(text.trim())
      if (transport?.kind === 'servers') return transport.servers
    }
  }
  return undefined
}

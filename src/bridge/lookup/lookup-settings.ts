import { createResolveTxt, type ResolveTxt } from '../../net/dns-txt.ts'
import type { LookupSettings } from '../cm-key-lookup.ts'
import type { Config } from '../config.ts'

/**
 * Whom look-ups may ask. Where ordinary servers are reached through a proxy, this machine does not ask DNS itself: the
 * question would show the resolver what the proxy hides, so a CM server asks.
 */
export function lookupSettings({ lookup, cm }: Config, resolveTxt?: ResolveTxt): LookupSettings {
  const { ownServers, dnsResolvers: resolvers, dnsServers: servers } = lookup
  if (!lookup.dns) return { ownServers, dns: { kind: 'off' } }
  if (lookup.dnsBy === 'server' || cm.exitNode || cm.socksProxy !== '') {
    return { ownServers, dns: { kind: 'server', servers } }
  }
  return { ownServers, dns: { kind: 'system', resolveTxt: resolveTxt ?? createResolveTxt({ resolvers }) } }
}

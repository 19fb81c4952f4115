import type { KeyId } from '../cm/ids.ts'
import { parseKeyAnnouncement } from '../cm/key-announcement.ts'
import { encodeServerAddress, type ServerAddress } from '../cm/transport.ts'
import { type AddressJudge, anyAddress } from '../net/address-guard.ts'
import { type Account, accountById } from '../store/account-queries.ts'
import { contactByKeyId, type StoredContact } from '../store/contact-queries.ts'
import type { AccountId } from '../store/ids.ts'
import { namedServersRequest, ownServers, serversOfTransport } from './bridge-context.ts'
import type { KeyLookup, LookupOptions, LookupOutcome } from './key-lookup.ts'
import { askForKeys, type Finding, type LookupContext, type Question } from './lookup/ask-for-keys.ts'
import { type DnsSource, domainOf, findDomainServers } from './lookup/domain-servers.ts'
import { type DomainWord, mergeFindings } from './lookup/merge-findings.ts'
import { withinTime } from './lookup/within-time.ts'
import { contactsOf } from './trust.ts'

/**
 * Key search with our checks (CM wire 8.9, design 9). The sources are those of the reference and the account's own
 * servers: what a contact's last announcement names, servers the owner or a message named, the own servers, the
 * domain's servers by DNS. All of them are asked side by side, and all contribute: who stops at the first never sees a
 * rival. Entangled will be one more `Source`. Nothing is stored here.
 */

/** Milliseconds for one source while nobody waits. */
const PATIENT_SOURCE_MS = 30_000
/** Contacts of one address whose servers are asked: each is a list of its own that somebody else wrote. */
const MAX_CONTACT_SOURCES = 8

/** Whom the settings allow to be asked. */
export interface LookupSettings {
  /** The account's own servers (`lookup.ownServers`). */
  readonly ownServers: boolean
  readonly dns: DnsSource
}

/** A list of servers that are each other's replicas, and what they are asked. */
interface Source {
  readonly servers: readonly ServerAddress[]
  /** Whether the owner wrote the servers down for this look-up: then they may be anywhere. */
  readonly isOwnersWord: boolean
  readonly question: Question
}

/** Its look-ups throw for an account that is gone; what the network does is an outcome. */
export function createCmKeyLookup(context: LookupContext, settings: LookupSettings): KeyLookup {
  return {
    byAddress: (accountId, address, options) =>
      new LookupRun({ context, settings, accountId, options }).byAddress(address),
    byKeyId: (accountId, keyId, options) =>
      new LookupRun({ context, settings, accountId, options }).byKeyId(keyId, options.hints),
  }
}

interface Run {
  readonly context: LookupContext
  readonly settings: LookupSettings
  readonly accountId: AccountId
  readonly options: LookupOptions
}

/** One look-up: its sources, what they found so far and which of them failed. */
class LookupRun {
  readonly #run: Run
  readonly #account: Account
  readonly #findings: Finding[] = []
  readonly #failures: string[] = []
  #domain: DomainWord | undefined

  constructor(run: Run) {
    const account = accountById(run.context.store.read, run.accountId)
    if (account === undefined) throw new Error('no such account')
    this.#run = run
    this.#account = account
  }

  async byAddress(address: string): Promise<LookupOutcome> {
    const { context, accountId, settings } = this.#run
    const known = contactsOf(context.store.read, accountId, address).filter(
      ({ trust }) => trust !== 'blocked',
    )
    const question = { address, keyIds: [] }
    const sources = joinSources([
      ...known.slice(0, MAX_CONTACT_SOURCES).map((contact) => this.#contactSource(contact, address)),
      this.#namedSource(question),
      this.#ownSource(question),
    ])
    const domain = settings.dns.kind === 'off' ? undefined : domainOf(address)
    await Promise.all([
      ...sources.map((source) => this.#ask(source)),
      domain === undefined ? undefined : this.#askDomain(domain, question, sources),
    ])
    const hasSource = sources.length > 0 || domain !== undefined
    return this.#outcome(address, hasSource)
  }

  async byKeyId(keyId: KeyId, hints: readonly string[]): Promise<LookupOutcome> {
    const { context, accountId } = this.#run
    const known = contactByKeyId(context.store.read, accountId, keyId)
    const question = { address: undefined, keyIds: [keyId] }
    const sources = joinSources([
      ...(known === undefined ? [] : [this.#contactSource(known, undefined)]),
      this.#namedSource(question),
      ...hints.map((hint) => ({ servers: serversOfTransport(hint), isOwnersWord: false, question })),
      this.#ownSource(question),
    ])
    await Promise.all(sources.map((source) => this.#ask(source)))
    return this.#outcome(undefined, sources.length > 0)
  }

  #contactSource(contact: StoredContact, address: string | undefined): Source {
    const servers = serversOfAnnouncement(contact.announcement)
    return { servers, isOwnersWord: false, question: { address, keyIds: [contact.keyId] } }
  }

  #namedSource(question: Question): Source {
    return { servers: this.#run.options.servers ?? [], isOwnersWord: true, question }
  }

  #ownSource(question: Question): Source {
    const servers = this.#run.settings.ownServers ? ownServers(this.#account) : []
    return { servers, isOwnersWord: false, question }
  }

  async #askDomain(domain: string, question: Question, asked: readonly Source[]): Promise<void> {
    const { context, settings, options } = this.#run
    const { dns } = settings
    const servers = ownServers(this.#account)
    const answer = await this.#withinTime((signal) =>
      findDomainServers(domain, { context, dns, accountId: this.#account.id, ownServers: servers, signal }),
    )
    if (answer === 'time-up') this.#failures.push(`no answer from DNS for ${domain} in time`)
    else if (answer.kind === 'unreachable') this.#failures.push(answer.reason)
    else if (answer.kind === 'servers') {
      this.#domain = { domain, servers: answer.servers }
      const source = { servers: answer.servers, isOwnersWord: false, question }
      const isAsked = asked.some((other) => namesOf(other) === namesOf(source))
      if (!isAsked && !options.signal.aborted) await this.#ask(source)
    }
  }

  async #ask({ servers, isOwnersWord, question }: Source): Promise<void> {
    const { context, accountId } = this.#run
    const judge: { readonly judge?: AddressJudge } = isOwnersWord ? { judge: anyAddress } : {}
    const request = { ...namedServersRequest(context, servers, accountId), ...judge }
    const failure = await this.#withinTime((signal) =>
      askForKeys(request, { context, question, findings: this.#findings, signal }),
    )
    if (failure === 'time-up') this.#failures.push(`${namesOf({ servers })}: no answer in time`)
    else if (failure !== undefined) this.#failures.push(failure)
  }

  #withinTime<T>(find: (signal: AbortSignal) => Promise<T>): Promise<T | 'time-up'> {
    const { context, options } = this.#run
    const { sourceMs: timeMs = PATIENT_SOURCE_MS, signal } = options
    return withinTime({ clock: context.clock, timeMs, signal }, find)
  }

  #outcome(address: string | undefined, hasSource: boolean): LookupOutcome {
    // A source that was too late may still be adding to the list.
    const merged = mergeFindings([...this.#findings], { address, domain: this.#domain })
    if (hasSource && this.#failures.length === 0) return { kind: 'answered', ...merged }
    return { kind: 'unreachable', reason: this.#failures.join('; ') || 'no server to ask', ...merged }
  }
}

function serversOfAnnouncement(text: string): readonly ServerAddress[] {
  const parsed = parseKeyAnnouncement(text)
  const transport = parsed.kind === 'ok' ? parsed.announcement.transport : undefined
  return transport?.kind === 'servers' ? transport.servers : []
}

function namesOf({ servers }: Pick<Source, 'servers'>): string {
  return servers.map(encodeServerAddress).sort().join(', ')
}

/** Sources that are the same servers are one with all questions; those without servers are none. */
function joinSources(sources: readonly Source[]): readonly Source[] {
  const joined = new Map<string, Source>()
  for (const source of sources) {
    if (source.servers.length === 0) continue
    const names = namesOf(source)
    const before = joined.get(names)
    joined.set(names, before === undefined ? source : join(before, source))
  }
  return [...joined.values()]
}

function join(one: Source, other: Source): Source {
  return {
    servers: one.servers,
    isOwnersWord: one.isOwnersWord || other.isOwnersWord,
    question: {
      address: one.question.address ?? other.question.address,
      keyIds: [...new Set([...one.question.keyIds, ...other.question.keyIds])],
    },
  }
}

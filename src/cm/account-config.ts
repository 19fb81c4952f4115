import { Secret } from '../base/secret.ts'
import type { KeyId } from './ids.ts'
import { encodeServerAddress, parseTransport } from './transport.ts'

/**
 * The reference client's `config.txt` and the same lines in an autoconfig document (CM message 10.1, 10.2): `Name: value`,
 * names in any case, unknown ones ignored, order irrelevant. What is wrong with a known one is said, and it is not taken.
 */
export interface AccountConfig {
  readonly keyId: KeyId | undefined
  /** A user id, `Name <address>`. */
  readonly emailAddress: string | undefined
  readonly costBits: number | undefined
  readonly previousCostBits: number | undefined
  readonly mailboxCount: number | undefined
  readonly previousMailboxCount: number | undefined
  /** HOST:PORT; empty with `isEntangled`. */
  readonly transport: ServerList | undefined
  readonly authKey: Secret<string> | undefined
  readonly entangledServer: ServerList | undefined
  readonly oldTransport: ServerList | undefined
  readonly oldAuthKey: Secret<string> | undefined
  /** `YYYY-MM-DD`. */
  readonly endPollOldDate: string | undefined
  readonly publishTransport: ServerList | undefined
  readonly publishAuthKey: Secret<string> | undefined
  readonly usesBypassTokens: boolean | undefined
  readonly syncsFolders: boolean | undefined
  /** What concerns the whole installation here, as lines of its settings, `section.name=value`. */
  readonly settings: readonly string[]
  /** One line each for people: what was not taken, and why. */
  readonly complaints: readonly string[]
}

export interface ServerList {
  readonly isEntangled: boolean
  /** HOST:PORT, in order of preference. */
  readonly servers: readonly string[]
}

/** Octets of a config.txt; the reference's own has less than 4 KiB. */
export const MAX_ACCOUNT_CONFIG_BYTES = 64 * 1024
/** Octets of a value: a list of 16 servers and room. */
const MAX_VALUE_LENGTH = 4096

/** Reads the lines; throws nothing, whatever is in them. The caller bounds the size. */
export function parseAccountConfig(text: string): AccountConfig {
  const fields = new ConfigFields(text)
  return {
    keyId: fields.matching('keyid', /^[0-9a-f]{40}$/i)?.toLowerCase() as KeyId | undefined,
    emailAddress: fields.value('emailaddress'),
    costBits: fields.cost('senderproofofwork'),
    previousCostBits: fields.cost('prevsenderproofofwork'),
    mailboxCount: fields.mailboxes('mailboxes'),
    previousMailboxCount: fields.mailboxes('prevmailboxes'),
    transport: fields.servers('transport'),
    authKey: fields.authKey('authkey'),
    entangledServer: fields.servers('entangledserver'),
    oldTransport: fields.servers('oldtransport'),
    oldAuthKey: fields.authKey('oldauthkey'),
    endPollOldDate: fields.matching('endpollolddate', /^\d{4}-\d{2}-\d{2}$/),
    publishTransport: fields.servers('pubtransport'),
    publishAuthKey: fields.authKey('pubauthkey'),
    usesBypassTokens: fields.truth('usebypasstokens'),
    syncsFolders: fields.seconds('foldersync', (seconds) => seconds > 0),
    settings: settingsOf(fields),
    complaints: fields.complaints,
  }
}

const AUTH_KEY = /^[\x21-\x7e]{1,256}$/
const HOST_PORT = /^(?:[0-9a-z._-]{1,253}|\[[0-9a-f:.]{2,45}\]):[1-9]\d{0,4}$/i
const MAILBOX_COUNTS = [2, 4, 8, 16] as const
const COSTS = [24, 32, 36, 40] as const

class ConfigFields {
  readonly complaints: string[] = []
  readonly #values = new Map<string, { readonly name: string; readonly value: string }>()

  constructor(text: string) {
    for (const [index, line] of text
      .replace(/^\ufeff/, '')
      .split(/\r\n|\r|\n/)
      .entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue
      const match = /^([A-Za-z]+): ?(.*)$/.exec(line)
      const [, name, value] = match ?? []
      if (
        name === undefined ||
        value === undefined ||
        value.length > MAX_VALUE_LENGTH ||
        /\p{Cc}/u.test(value)
      )
        this.complaints.push(`line ${index + 1} is not "Name: value"`)
      else this.#values.set(name.toLowerCase(), { name, value: value.trim() })
    }
  }

  /** The last value that is not empty: an empty one means the default. */
  value(name: string): string | undefined {
    const value = this.#values.get(name)?.value
    return value === '' ? undefined : value
  }

  matching(name: string, form: RegExp): string | undefined {
    const value = this.value(name)
    if (value === undefined || form.test(value)) return value
    return this.complain(name, 'that is no value of this setting')
  }

  complain(name: string, why: string): undefined {
    const { name: shown = name, value = '' } = this.#values.get(name) ?? {}
    const isSecret = name.endsWith('authkey')
    this.complaints.push(`${shown}${isSecret ? '' : ` ${JSON.stringify(value)}`}: ${why}`)
    return undefined
  }

  truth(name: string): boolean | undefined {
    const value = this.matching(name, /^(?:true|false)$/i)
    return value === undefined ? undefined : value.toLowerCase() === 'true'
  }

  seconds<Result>(name: string, use: (seconds: number) => Result): Result | undefined {
    const value = this.matching(name, /^\d{1,6}$/)
    return value === undefined ? undefined : use(Number(value))
  }

  authKey(name: string): Secret<string> | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    return AUTH_KEY.test(value) ? new Secret(value) : this.complain(name, 'it is not one word')
  }

  hostPort(name: string): string | undefined {
    return this.matching(name, HOST_PORT)?.toLowerCase()
  }

  /** `server=h:p,…`, the prefix as often as the reference's Easy Setup doubles it, or `entangled`. */
  servers(name: string): ServerList | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const transport = parseTransport(value.replace(/^(?:server=)+/i, 'server='))
    if (transport === undefined) return this.complain(name, 'it is no list of servers')
    if (transport.kind === 'entangled') return { isEntangled: true, servers: [] }
    return { isEntangled: false, servers: transport.servers.map(encodeServerAddress) }
  }

  /** `bd,bits,matches` (CM wire 3.4): matches are always two here. */
  cost(name: string): number | undefined {
    const bits = /^bd,(\d{1,2}),\d{1,3}$/i.exec(this.value(name) ?? '')?.[1]
    if (bits === undefined)
      return this.value(name) === undefined ? undefined : this.complain(name, 'it is no cost')
    const known = COSTS.find((cost) => cost === Number(bits))
    return known ?? this.complain(name, `costs are ${COSTS.join(', ')} bits`)
  }

  /** `0,1,…,n-1`; a number in between is the next larger one, which loses no mail. */
  mailboxes(name: string): number | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const prefixes = value.split(',')
    const isCounted = prefixes.every((prefix, index) => prefix === String(index))
    const count = MAILBOX_COUNTS.find((known) => known >= prefixes.length)
    return isCounted && count !== undefined ? count : this.complain(name, 'mailboxes are 0,1,… up to 15')
  }
}

/** Settings of the installation: a reference client has them for each account. */
function settingsOf(fields: ConfigFields): string[] {
  const line = (name: string, value: string | number | boolean | undefined): string[] =>
    value === undefined || value === '' ? [] : [`${name}=${value}`]
  const byProxy = [
    ...(fields.truth('proxyip') === true ? ['direct'] : []),
    ...(fields.truth('proxytor') === true ? ['tor'] : []),
  ]
  // The reference never reads it (CM message 10.1): its user has never had it.
  if (fields.truth('proxyi2p') === true) fields.complain('proxyi2p', 'it has no effect there either')
  const preferred = fields.matching('serverconnection', /^(?:direct|tor|i2p)$/i)?.toLowerCase()
  return [
    ...line('cm.torProxy', fields.hostPort('torproxy')),
    ...line('cm.i2pProxy', fields.hostPort('i2pproxy')),
    ...line('cm.socksProxy', fields.hostPort('socksproxy')),
    ...line('cm.exitNode', fields.truth('useexitnode') === true ? true : undefined),
    ...line('cm.preferred', preferred === 'direct' ? undefined : preferred),
    ...line('cm.postByProxy', byProxy.length === 0 ? undefined : JSON.stringify(byProxy)),
    ...line(
      'cm.timeoutSeconds',
      fields.seconds('connectiontimeout', (seconds) => (seconds === 15 ? undefined : seconds)),
    ),
    ...line('lookup.dnsBy', fields.truth('proxydns') === true ? 'server' : undefined),
    ...line('lookup.dnsServers', dnsServers(fields)),
    ...line(
      'poll.seconds',
      fields.seconds('newmessagecheck', (seconds) => (seconds === 0 ? undefined : seconds)),
    ),
  ]
}

function dnsServers(fields: ConfigFields): string | undefined {
  const servers = fields.servers('altdnsserver')?.servers ?? []
  return servers.length === 0 ? undefined : JSON.stringify(servers)
}

/** What `config.txt` is written from. */
export interface NewAccountConfig {
  readonly keyId: KeyId
  readonly userId: string
  readonly costBits: number
  readonly mailboxCount: number
  /** Accepted and polled as well until `untilMs`. */
  readonly previous:
    | { readonly costBits: number; readonly mailboxCount: number; readonly untilMs: number }
    | undefined
  readonly servers: readonly string[]
  readonly authKey: Secret<string> | undefined
  readonly old:
    | {
        readonly servers: readonly string[]
        readonly authKey: Secret<string> | undefined
        readonly untilMs: number
      }
    | undefined
  readonly publishServers: readonly string[]
  readonly publishAuthKey: Secret<string> | undefined
  readonly usesBypassTokens: boolean
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
const listOf = (servers: readonly string[]): string => `server=${servers.join(',')}`
const cost = (bits: number): string => `bd,${bits},2`
const prefixes = (count: number): string => Array.from({ length: count }, (_, index) => index).join(',')

/** A `config.txt` the reference client starts with: it needs the window sizes (CM message 10.1). Holds auth keys. */
export function encodeAccountConfig(account: NewAccountConfig): string {
  const { previous, old, publishServers, authKey, publishAuthKey } = account
  const lines: (readonly [string, string | undefined])[] = [
    ['Keyid', account.keyId.toUpperCase()],
    ['EmailAddress', account.userId],
    ['SenderProofOfWork', cost(account.costBits)],
    ['PrevSenderProofOfWork', cost(Math.min(account.costBits, previous?.costBits ?? account.costBits))],
    ['Mailboxes', prefixes(account.mailboxCount)],
    ['PrevMailboxes', prefixes(Math.max(account.mailboxCount, previous?.mailboxCount ?? 0))],
    ['EndOldCostSlots', previous === undefined ? undefined : dayOf(previous.untilMs)],
    ['UseBypassTokens', account.usesBypassTokens ? 'True' : 'False'],
    ['Transport', listOf(account.servers)],
    ['AuthKey', authKey?.reveal()],
    ['EntangledServer', listOf(account.servers)],
    ['ServerConnection', 'Direct'],
    ['OldTransport', old === undefined ? undefined : listOf(old.servers)],
    ['OldAuthKey', old?.authKey?.reveal()],
    ['EndPollOldDate', old === undefined ? undefined : dayOf(old.untilMs)],
    // Written only when both are set.
    [
      'PubTransport',
      publishAuthKey === undefined || publishServers.length === 0 ? undefined : listOf(publishServers),
    ],
    ['PubAuthKey', publishServers.length === 0 ? undefined : publishAuthKey?.reveal()],
    ['FolderSync', '0'],
    ['NewMessageCheck', '300'],
    ['ListWindowSize', '900x600'],
    ['ViewWindowSize', '800x600'],
    ['EditWindowSize', '800x600'],
    ['AddrWindowSize', '700x500'],
  ]
  return lines
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')
}

export type AutoconfigDocument =
  | { readonly kind: 'config'; readonly config: AccountConfig }
  /** For people. */
  | { readonly kind: 'refused'; readonly reason: string }

/** The lines between the two marks of an autoconfig document; what stands around them is for people (CM message 10.2). */
export function parseAutoconfigDocument(text: string): AutoconfigDocument {
  const lines = text.split(/\r\n|\r|\n/).map((line) => line.trimEnd())
  const begin = lines.indexOf('#BEGIN_CONFIG#')
  const end = lines.indexOf('#END_CONFIG#', begin + 1)
  if (begin < 0 || end < 0)
    return {
      kind: 'refused',
      reason: 'no lines #BEGIN_CONFIG# and #END_CONFIG# are in it: this is no autoconfig document',
    }
  return { kind: 'config', config: parseAccountConfig(lines.slice(begin + 1, end).join('\n')) }
}

import { z } from 'zod'

/**
 * The settings: their shape, their defaults and what each takes. The reasons for the defaults stand in
 * `config/cmbridge.example.jsonc`, which a test keeps equal to what is here. Reading files, environment and flags is
 * `cli/load-config.ts`.
 */

const GIBIBYTE = 1024 ** 3

const PORT_FIX = 'give a whole number from 1 to 65535, or 0 for any free port'
const OPTIONAL_PORT_FIX = `${PORT_FIX}, or null (off in --set and the environment) to not listen there`

function portWith(error: string): z.ZodInt {
  return z.int({ error }).min(0, { error }).max(65535, { error })
}

const optionalPort = portWith(OPTIONAL_PORT_FIX).nullable()

const hosts = z
  .array(
    z.union([z.ipv4(), z.ipv6()], {
      error: 'give an IP address of this machine, such as 127.0.0.1 or ::1, not a name',
    }),
    { error: 'give a list of IP addresses, such as ["127.0.0.1", "::1"]' },
  )
  .max(16, { error: 'give at most 16 addresses' })

const HOST_PORT = /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})$/
const hostPort = z.string({ error: 'give HOST:PORT' }).refine(isHostPort, {
  error: 'give HOST:PORT, such as cm.example.org:8081 or [::1]:8081',
})

const optionalHostPort = z
  .string({ error: 'give HOST:PORT, or nothing' })
  .refine((text) => text === '' || isHostPort(text), {
    error: 'give HOST:PORT, such as 127.0.0.1:9050, or nothing',
  })

const positive = (unit: string, max: number) => {
  const error = `give a number of ${unit} from 1 to ${max}`
  return z.int({ error }).min(1, { error }).max(max, { error })
}

const oneOf = <const Words extends readonly string[]>(words: Words) =>
  z.enum(words, { error: `give one of ${words.join(', ')}` })

const truth = z.boolean({ error: 'give true or false' })

const LOOPBACK = ['127.0.0.1', '::1']
const CERTIFICATE_NAME = /^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$/

const schema = z.strictObject({
  /** SMTP submission (design 6). A `null` port is not listened on. */
  smtp: z.strictObject({
    hosts: hosts.default(LOOPBACK),
    port: optionalPort.default(1025),
    tlsPort: optionalPort.default(1465),
  }),
  imap: z.strictObject({
    hosts: hosts.default(LOOPBACK),
    port: optionalPort.default(1143),
    tlsPort: optionalPort.default(1993),
  }),
  tls: z.strictObject({
    /** Names and addresses in the certificate beside localhost, 127.0.0.1, ::1 and the host name. */
    names: z
      .array(
        z
          .string()
          .regex(CERTIFICATE_NAME, { error: 'give a host name or an IP address, such as gateway.lan' }),
        { error: 'give a list of host names and IP addresses' },
      )
      .max(32, { error: 'give at most 32 names' })
      .default([]),
  }),
  redis: z.strictObject({
    /** Empty: a private redis-server. */
    url: z
      .string({ error: 'give a text' })
      .regex(/^$|^rediss?:\/\/./, { error: 'give redis://HOST:PORT or rediss://HOST:PORT, or nothing' })
      .default(''),
    /** The program of the private one; looked for in PATH when it has no slash. */
    program: z
      .string({ error: 'give a path or a name' })
      .min(1, { error: 'give a path or a name' })
      .default('redis-server'),
  }),
  poll: z.strictObject({
    /** Seconds between looks while the owner's mail program is connected; five times that otherwise (design 8.1). */
    seconds: z
      .number({ error: 'give a number of seconds from 0.1 to 86400' })
      .min(0.1, { error: 'give a number of seconds from 0.1 to 86400' })
      .max(86_400, { error: 'give a number of seconds from 0.1 to 86400' })
      .default(60),
  }),
  cm: z
    .strictObject({
      /** `host:port` that may be contacted although a sender named them and they are private addresses (design 8.4). */
      privateServers: z
        .array(hostPort, { error: 'give a list of HOST:PORT' })
        .max(64, { error: 'give at most 64 servers' })
        .default([]),
      /** SOCKS5 proxies, `host:port` or empty; when one is down nothing goes around it (CM wire 8.1, 8.3). */
      torProxy: optionalHostPort.default(''),
      i2pProxy: optionalHostPort.default(''),
      /** For servers that are neither `.onion` nor `.i2p`. */
      socksProxy: optionalHostPort.default(''),
      /** Ordinary servers are reached through the Tor proxy too. */
      exitNode: truth.default(false),
      /** Which servers of a list are tried first. */
      preferred: oneOf(['direct', 'tor', 'i2p']).default('direct'),
      /** Classes of servers that are posted to through the account's own server by STORE PROXY (CM wire 8.5). */
      postByProxy: z
        .array(oneOf(['direct', 'tor', 'i2p']), { error: 'give a list of direct, tor, i2p' })
        .max(3, { error: 'give each at most once' })
        .default([]),
      /** Seconds a server has to answer; twice that through a proxy (CM wire 7.10). */
      timeoutSeconds: z
        .int({ error: 'give a number of seconds from 5 to 300' })
        .min(5, { error: 'give a number of seconds from 5 to 300' })
        .max(300, { error: 'give a number of seconds from 5 to 300' })
        .default(15),
      /** Kilobytes (1,024 octets) per second for posting data blocks; 0: no limit. */
      uploadKilobytesPerSecond: z
        .int({ error: 'give a number of kilobytes, 0 for no limit' })
        .min(0, { error: 'give a number of kilobytes, 0 for no limit' })
        .max(1_000_000, { error: 'give a number of kilobytes, 0 for no limit' })
        .default(0),
    })
    .superRefine(({ exitNode, torProxy }, { addIssue }) => {
      // Without its proxy every ordinary server would be skipped, quietly.
      if (!exitNode || torProxy !== '') return
      addIssue({
        code: 'custom',
        path: ['exitNode'],
        message: 'give cm.torProxy too, the proxy they are reached through',
      })
    }),
  lookup: z.strictObject({
    /** Ask the account's own servers for unknown addresses (design 9). */
    ownServers: truth.default(true),
    /** Ask DNS `TXT cmsvr.<domain>` for the servers of an address (CM wire 8.9). */
    dns: truth.default(true),
    /** Resolvers to ask instead of the system's, IP addresses. */
    dnsResolvers: z
      .array(z.union([z.ipv4(), z.ipv6()], { error: 'give an IP address of a resolver' }), {
        error: 'give a list of IP addresses',
      })
      .max(8, { error: 'give at most 8 resolvers' })
      .default([]),
    /** `system`: this machine asks. `server`: a CM server asks for us by `DNS TXT`, the own one or `dnsServers`. */
    dnsBy: oneOf(['system', 'server']).default('system'),
    /** CM servers, `host:port`, that ask DNS for us; empty: the account's own. */
    dnsServers: z
      .array(hostPort, { error: 'give a list of HOST:PORT' })
      .max(16, { error: 'give at most 16 servers' })
      .default([]),
  }),
  /** Our own CM server inside this process (design 12). */
  cmServer: z.strictObject({
    enabled: truth.default(false),
    listen: hostPort.default('0.0.0.0:8081'),
    /** Accounts in the reference's auth.txt format; empty: `cm-server/auth.txt` in the data directory. */
    authFile: z.string({ error: 'give a path' }).default(''),
    /** Connections at once; more are told BUSY. */
    connections: positive('connections', 10_000).default(1_000),
    /** `DNS TXT` is answered (CM wire 7.8). */
    dnsTxt: truth.default(true),
    /** `STORE PROXY` without a login; an open relay when true (CM wire S6). */
    anonymousProxy: truth.default(false),
    /** Another server everything is replicated to, `host:port`; empty: none (CM wire 9.3). */
    replicateTo: optionalHostPort.default(''),
    /** File with the key of the account `replication` at the other server; its mode must be 0600. */
    replicationKeyFile: z.string({ error: 'give a path' }).default(''),
    /** Digest of the other server's certificate: 40 or 64 hex digits (SHA-1 or SHA-256), colons allowed. */
    replicationCertificate: z
      .string({ error: 'give a text' })
      .regex(/^$|^([0-9a-fA-F]{2}:?){19}[0-9a-fA-F]{2}$|^([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/, {
        error: 'give 40 or 64 hex digits, or nothing',
      })
      .default(''),
    /** The reference's notify.txt: who is told of new mail by SMTP (CM wire 9.6); empty: `notify.txt` in its directory. */
    notifyFile: z.string({ error: 'give a path' }).default(''),
    /** Days after its Date at which a block has expired, by type (CM wire 2.2, 9.7). */
    dataMaxAgeDays: positive('days', 365).default(10),
    announcementMaxAgeDays: positive('days', 365).default(10),
    acknowledgmentMaxAgeDays: positive('days', 365).default(10),
    keyMaxAgeDays: positive('days', 365).default(31),
    claimMaxAgeDays: positive('days', 365).default(10),
  }),
  limits: z.strictObject({
    /** Octets of one message, on SMTP and APPEND. */
    messageBytes: positive('octets', 4 * GIBIBYTE).default(GIBIBYTE),
    /** Connections per listener. */
    connections: positive('connections', 10_000).default(100),
    /** Stages that run side by side. */
    jobs: positive('jobs', 100).default(8),
  }),
  log: z.strictObject({
    level: oneOf(['debug', 'info', 'warn', 'error']).default('info'),
    format: oneOf(['text', 'json']).default('text'),
  }),
})

/** Every setting with a value. */
export type Config = z.infer<typeof schema>

export interface ConfigIssue {
  /** The setting, e.g. `smtp.port`. */
  readonly key: string
  /** The value as given, JSON; `(hidden)` where it may hold a password. */
  readonly value: string
  /** What to give instead. */
  readonly fix: string
}

export type ConfigOutcome =
  | { readonly kind: 'ok'; readonly config: Config }
  | { readonly kind: 'wrong'; readonly issues: readonly ConfigIssue[] }

/** Settings that may hold a password and are never shown. */
const HIDDEN = new Set(['redis.url'])
/** Characters of a wrong value that are shown. */
const SHOWN_VALUE_LENGTH = 80

/** The value of every setting from those that are given; `{}` gives the defaults. */
export function parseConfig(given: unknown): ConfigOutcome {
  const parsed = schema.safeParse(withSections(given))
  if (!parsed.success)
    return { kind: 'wrong', issues: parsed.error.issues.map((issue) => describe(issue, given)) }
  return { kind: 'ok', config: parsed.data }
}

/** True for `host:port` with a port from 0 to 65535; IPv6 addresses in brackets. */
export function isHostPort(text: string): boolean {
  return Number(HOST_PORT.exec(text)?.[2] ?? Number.NaN) <= 65535
}

/** Sections that are not given are there with their defaults. */
function withSections(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given
  const empty = Object.fromEntries(Object.keys(schema.shape).map((section) => [section, {}]))
  return { ...empty, ...given }
}

function describe(issue: z.core.$ZodIssue, given: unknown): ConfigIssue {
  if (issue.code === 'unrecognized_keys') {
    const parent = issue.path.join('.')
    const name = issue.keys[0] ?? ''
    return {
      key: parent === '' ? name : `${parent}.${name}`,
      value: shown(valueAt(given, [...issue.path, name])),
      fix: `there is no such setting; ${parent === '' ? 'the sections are' : `${parent} has`} ${keysAt(parent).join(', ')}`,
    }
  }
  const key = issue.path.join('.')
  const isSection = issue.path.length < 2
  return {
    key: key === '' ? 'the settings' : key,
    value: HIDDEN.has(key) ? '(hidden)' : shown(valueAt(given, issue.path)),
    fix: isSection ? `give an object with ${keysAt(key).join(', ')}` : issue.message,
  }
}

function keysAt(section: string): string[] {
  if (section === '') return Object.keys(schema.shape)
  const found = Object.entries(schema.shape).find(([name]) => name === section)
  return found === undefined ? [] : Object.keys(found[1].shape)
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = given
  for (const step of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[step]
  return value
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value)
  return text.length > SHOWN_VALUE_LENGTH ? `${text.slice(0, SHOWN_VALUE_LENGTH)}…` : text
}

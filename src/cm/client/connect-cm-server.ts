import type { Clock } from '../../base/clock.ts'
import { type AddressJudge, judgeUnresolved } from '../../net/address-guard.ts'
import type { ByteChannel, PeerCertificate } from '../../net/byte-channel.ts'
import {
  ConnectError,
  connect,
  formatHostPort,
  type ResolveHost,
  withoutBrackets,
} from '../../net/connect.ts'
import { connectThroughSocks } from '../../net/socks-connect.ts'
import type { CertificateMemory } from '../port.ts'
import { CmProtocolError } from './cm-protocol-error.ts'
import { type CertificateState, CmSession } from './cm-session.ts'
import { CmDialogue, type CmTimeouts, DEFAULT_CM_TIMEOUTS } from './dialogue.ts'
import { type CmProxies, type CmRoute, proxyCredentials, routeTo } from './proxy-route.ts'
import type { CmSessionPool } from './session-pool.ts'
import type { UploadThrottle } from './upload-throttle.ts'

/** Lines in front of the greeting, and between STARTTLS and PROCEED, that are passed over as the reference does. */
const MAX_IGNORED_LINES = 20

const READY = /CONFIDANT MAIL SERVER PROTOCOL [0-9]+ READY$/i
const BUSY = /CONFIDANT MAIL SERVER PROTOCOL [0-9]+ BUSY$/i

/** What a session with a CM server needs from outside. */
export interface CmClientEnvironment {
  readonly clock: Clock
  readonly certificateMemory: CertificateMemory
  readonly resolveHost?: ResolveHost
  /** Authorities that can vouch for a changed certificate, PEM; the public ones when absent. */
  readonly authorities?: readonly string[]
  /** For direct connections; all are doubled through a proxy (CM wire 7.10). */
  readonly timeouts?: Partial<CmTimeouts>
  /** Absent: every server but `.onion` and `.i2p` ones is reached directly. */
  readonly proxies?: CmProxies
  /** Sessions are kept a few seconds for the next task; absent: each task has its own. */
  readonly sessions?: CmSessionPool | undefined
  readonly throttle?: UploadThrottle | undefined
  /** Another way to a connection than the network, for tests. */
  readonly openChannel?: (target: CmServerTarget) => Promise<ByteChannel>
}

export interface CmServerTarget {
  /** A host name or an IP address; IPv6 with or without brackets. */
  readonly host: string
  readonly port: number
  /** `anyAddress` for a server the owner wrote down, `publicAddressesExcept(…)` for one the network named (design 8.4). */
  readonly judge: AddressJudge
  /** Streams with different ones must not be linked at a proxy: whose it is, and in which role. */
  readonly isolation?: string | undefined
}

/** Time-outs through a proxy, in those of a direct connection. */
const PROXY_TIME_FACTOR = 2

/**
 * Connects, waits for the greeting and starts TLS, which is not optional (CM wire 7.1, 7.2). A certificate that differs
 * from the remembered one is taken over when public authorities vouch for it; otherwise the change is reported and the
 * session refuses to LOGIN. Throws `CmProtocolError`.
 */
export async function connectCmServer(
  target: CmServerTarget,
  environment: CmClientEnvironment,
): Promise<CmSession> {
  const route = routeTo(target, environment.proxies)
  const timeouts = timeoutsOf(route, environment)
  const channel = await openChannel({ target, route, timeouts }, environment)
  const dialogue = new CmDialogue(channel, environment.clock, timeouts)
  const hostPort = formatHostPort(target.host, target.port)
  const host = withoutBrackets(target.host)
  await dialogue.within(timeouts.wholeReplyMs, async () => {
    await awaitGreeting(dialogue)
    await startTls(dialogue, { host, authorities: environment.authorities })
  })
  try {
    const shown = channel.peerCertificate
    const certificate = await judgeCertificate(hostPort, shown, environment)
    return new CmSession(dialogue, {
      hostPort,
      certificate,
      certificateDigests: shown === undefined ? [] : [shown.sha1, shown.sha256],
      isTrustedFor: (name) => shown?.isTrustedFor(name) === true,
      isAllowedBy: (judge) =>
        route.kind === 'proxy'
          ? judgeUnresolved(judge, { hostPort, host })
          : judge({ hostPort, address: channel.remoteAddress }),
      throttle: environment.throttle,
    })
  } catch (error) {
    channel.destroy()
    throw error
  }
}

function timeoutsOf(route: CmRoute, { timeouts }: CmClientEnvironment): CmTimeouts {
  const direct = { ...DEFAULT_CM_TIMEOUTS, ...timeouts }
  if (route.kind !== 'proxy') return direct
  return {
    replyMs: PROXY_TIME_FACTOR * direct.replyMs,
    storeMs: PROXY_TIME_FACTOR * direct.storeMs,
    wholeReplyMs: PROXY_TIME_FACTOR * direct.wholeReplyMs,
  }
}

interface Opening {
  readonly target: CmServerTarget
  readonly route: CmRoute
  readonly timeouts: CmTimeouts
}

async function openChannel(
  { target, route, timeouts }: Opening,
  environment: CmClientEnvironment,
): Promise<ByteChannel> {
  if (environment.openChannel !== undefined) return environment.openChannel(target)
  const { proxies, resolveHost } = environment
  const { host, port, judge, isolation } = target
  const { replyMs: timeoutMs } = timeouts
  if (route.kind === 'no-proxy') throw new CmProtocolError('no-proxy')
  try {
    if (route.kind === 'direct') return await connect({ host, port, judge, timeoutMs, resolveHost })
    const credentials =
      proxies === undefined || isolation === undefined ? undefined : proxyCredentials(proxies, isolation)
    const { proxy } = route
    return await connectThroughSocks({ proxy, host, port, judge, credentials, resolveHost, timeoutMs })
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error
    const { reason, proxyHostPort } = error
    throw new CmProtocolError(CODE_BY_REASON[reason], { cause: error, proxyHostPort })
  }
}

const CODE_BY_REASON = {
  unresolvable: 'unreachable',
  refused: 'unreachable',
  timeout: 'timeout',
  'forbidden-address': 'forbidden-address',
  'proxy-down': 'proxy-down',
  'proxy-refused': 'proxy-refused',
} as const

/** Any line that ends like a greeting is one: what is left of a proxy's reply may stand in front (CM wire 7.1, 8.3). */
async function awaitGreeting(dialogue: CmDialogue): Promise<void> {
  for (let ignored = 0; ignored <= MAX_IGNORED_LINES; ignored += 1) {
    const frame = await dialogue.frame()
    const line = frame.kind === 'line' ? frame.line : ''
    if (READY.test(line)) return
    if (BUSY.test(line)) throw dialogue.fail(new CmProtocolError('busy'))
  }
  throw dialogue.fail(new CmProtocolError('unexpected-reply'))
}

async function startTls(
  dialogue: CmDialogue,
  trust: { host: string; authorities: readonly string[] | undefined },
): Promise<void> {
  await dialogue.ask('STARTTLS')
  await awaitLine(dialogue, 'PROCEED')
  const { host, authorities } = trust
  await dialogue.startTls({ role: 'client', host, ...(authorities === undefined ? {} : { authorities }) })
  await awaitLine(dialogue, 'ENCRYPTED')
}

async function awaitLine(dialogue: CmDialogue, wanted: string): Promise<void> {
  for (let ignored = 0; ignored <= MAX_IGNORED_LINES; ignored += 1) {
    if ((await dialogue.line()).toUpperCase() === wanted) return
  }
  throw dialogue.fail(new CmProtocolError('tls'))
}

async function judgeCertificate(
  hostPort: string,
  shown: PeerCertificate | undefined,
  { certificateMemory, clock }: CmClientEnvironment,
): Promise<CertificateState> {
  if (shown === undefined) throw new CmProtocolError('tls')
  const { sha256, description, publiclyTrusted } = shown
  const seen = { sha256, description, firstSeenMs: clock.now() }
  const remembered = await certificateMemory.recall(hostPort)
  if (remembered === undefined) {
    await certificateMemory.remember(hostPort, seen)
    return 'first-seen'
  }
  if (remembered.sha256 === sha256) return 'known'
  if (publiclyTrusted) {
    await certificateMemory.replace(hostPort, seen)
    return 'replaced'
  }
  await certificateMemory.reportChange(hostPort, seen)
  return 'changed'
}

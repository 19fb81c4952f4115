import type { Clock } from '../../base/clock.ts'
import type { AddressJudge } from '../../net/address-guard.ts'
import type { ByteChannel, PeerCertificate } from '../../net/byte-channel.ts'
import { ConnectError, connect, formatHostPort, type ResolveHost } from '../../net/connect.ts'
import type { CertificateMemory } from '../port.ts'
import { CmProtocolError } from './cm-protocol-error.ts'
import { type CertificateState, CmSession } from './cm-session.ts'
import { CmDialogue, type CmTimeouts, DEFAULT_CM_TIMEOUTS } from './dialogue.ts'

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
  readonly timeouts?: Partial<CmTimeouts>
  /** Another way to a connection (a proxy, a test); `net/connect.ts` when absent. */
  readonly openChannel?: (target: CmServerTarget) => Promise<ByteChannel>
}

export interface CmServerTarget {
  /** A host name or an IP address; IPv6 with or without brackets. */
  readonly host: string
  readonly port: number
  /** `anyAddress` for a server the owner wrote down, `publicAddressesExcept(…)` for one the network named (design 8.4). */
  readonly judge: AddressJudge
}

/**
 * Connects, waits for the greeting and starts TLS, which is not optional (CM wire 7.1, 7.2). A certificate that differs
 * from the remembered one is taken over when public authorities vouch for it; otherwise the change is reported and the
 * session refuses to LOGIN. Throws `CmProtocolError`.
 */
export async function connectCmServer(
  target: CmServerTarget,
  environment: CmClientEnvironment,
): Promise<CmSession> {
  const timeouts = { ...DEFAULT_CM_TIMEOUTS, ...environment.timeouts }
  const channel = await openChannel(target, environment, timeouts)
  const dialogue = new CmDialogue(channel, environment.clock, timeouts)
  await awaitGreeting(dialogue)
  await startTls(dialogue, {
    host: target.host.replace(/^\[(.*)\]$/, '$1'),
    authorities: environment.authorities,
  })
  const hostPort = formatHostPort(target.host, target.port)
  try {
    const shown = channel.peerCertificate
    const certificate = await judgeCertificate(hostPort, shown, environment)
    const isTrustedFor = (host: string): boolean => shown?.isTrustedFor(host) === true
    return new CmSession(dialogue, { hostPort, certificate, isTrustedFor })
  } catch (error) {
    channel.destroy()
    throw error
  }
}

async function openChannel(
  target: CmServerTarget,
  environment: CmClientEnvironment,
  timeouts: CmTimeouts,
): Promise<ByteChannel> {
  try {
    if (environment.openChannel !== undefined) return await environment.openChannel(target)
    return await connect({
      ...target,
      timeoutMs: timeouts.replyMs,
      ...(environment.resolveHost === undefined ? {} : { resolveHost: environment.resolveHost }),
    })
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error
    throw new CmProtocolError(CODE_BY_REASON[error.reason], { cause: error })
  }
}

const CODE_BY_REASON = {
  unresolvable: 'unreachable',
  refused: 'unreachable',
  timeout: 'timeout',
  'forbidden-address': 'forbidden-address',
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

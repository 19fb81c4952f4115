import type { Clock } from '../../../base/clock.ts'
import { type AddressJudge, judgeUnresolved, publicAddressesExcept } from '../../../net/address-guard.ts'
import { withoutBrackets } from '../../../net/connect.ts'
import type { CmClientEnvironment } from '../../client/connect-cm-server.ts'
import { routeTo } from '../../client/proxy-route.ts'
import type { RandomInt } from '../../client/server-list.ts'
import type { CertificateMemory } from '../../port.ts'
import { encodeServerAddress, type ServerAddress } from '../../transport.ts'
import type { JudgeBlock } from '../block-judge.ts'
import type { CmBlocks } from '../port.ts'
import { decideOnProxied } from './accept-proxied.ts'
import { DEFAULT_ROOM } from './limits.ts'
import type { CmRelay, ProxiedUpload } from './port.ts'
import type { QueueRoom, RelayQueue } from './queue-port.ts'
import { RelayLoop } from './relay-loop.ts'
import type { ReplicationPeer } from './replicate-to-peer.ts'
import { RETRY_SCHEDULE_MS } from './retry-schedule.ts'
import { OpenSessions, type RelayLog } from './send-context.ts'

export interface RelayOptions {
  readonly queue: RelayQueue
  readonly blocks: CmBlocks
  readonly judge: JudgeBlock
  readonly clock: Clock
  readonly randomInt: RandomInt
  readonly log: RelayLog
  /** How other servers are reached: proxies, time-outs, DNS. Certificates are remembered in the queue's database. */
  readonly client: Pick<
    CmClientEnvironment,
    'resolveHost' | 'authorities' | 'timeouts' | 'proxies' | 'throttle'
  >
  /** `host:port` word for word that may be sent to although they are not public: our own listener, the owner's list. */
  readonly allowedHostPorts: () => Iterable<string>
  readonly peer?: ReplicationPeer | undefined
  readonly room?: QueueRoom
  /** Milliseconds to wait after n failures in a row; the reference's `retry_schedule`. */
  readonly retryScheduleMs?: readonly number[]
}

const PRIVATE_TARGET =
  'a block to be passed on was refused: its server has a private address; cm.privateServers names those that may be sent to'

/** A relay that sends until it is closed. */
export interface RunningRelay extends CmRelay {
  /** Looks at once what is due; otherwise that happens on `wake`, on an interval and when something becomes due. */
  look(): void
  /** Resolves when nothing is being sent. */
  settled(): Promise<void>
  close(): Promise<void>
}

/** Starts everything our server sends to other servers (CM wire 9.3, 9.4). */
export function startRelay(options: RelayOptions): RunningRelay {
  const { queue, clock, log, peer, room = DEFAULT_ROOM } = options
  const environment = {
    ...options.client,
    // A server is told all there is for it at once, and sees the end: others begin to pass on then (CM wire 9.4).
    sessions: undefined,
    clock,
    certificateMemory: reportingChanges(queue, log),
  }
  const judge: AddressJudge = (address) => publicAddressesExcept(options.allowedHostPorts())(address)
  const loop = new RelayLoop(
    {
      queue,
      blocks: options.blocks,
      environment,
      judge,
      randomInt: options.randomInt,
      clock,
      log,
      retryScheduleMs: options.retryScheduleMs ?? RETRY_SCHEDULE_MS,
      sessions: new OpenSessions(),
    },
    peer,
  )
  const accept = {
    judge: options.judge,
    clock,
    canReach: (server: ServerAddress) => routeTo(server, environment.proxies).kind !== 'no-proxy',
    mayContact: (server: ServerAddress) =>
      judgeUnresolved(judge, {
        hostPort: encodeServerAddress(server),
        host: withoutBrackets(server.host),
      }),
  }

  async function acceptProxied(upload: ProxiedUpload): Promise<'DONE' | 'FAILED'> {
    const { received, key } = upload
    try {
      const decision = await decideOnProxied(upload, accept)
      if (decision.kind === 'refused') {
        if (decision.reason === 'private') log.warn({}, PRIVATE_TARGET)
        log.debug({ key, reason: decision.reason }, 'a block to be passed on was refused')
        return 'FAILED'
      }
      const outcome = await queue.proxied.add(decision.item, room)
      if (outcome === 'full')
        log.warn({}, 'a block to be passed on was refused: the queue or the user is full')
      return outcome === 'full' ? 'FAILED' : 'DONE'
    } catch (cause) {
      log.error({ cause }, 'a block to be passed on could not be kept')
      return 'FAILED'
    } finally {
      if (received.kind === 'data') await received.sink.discard()
    }
  }

  return {
    hasPeer: peer !== undefined,
    acceptProxied,
    senderState: () => loop.state(),
    wake: () => loop.wake(),
    look: () => loop.look(),
    settled: () => loop.settled(),
    close: () => loop.close(),
  }
}

/** Changes that are remembered as told: a target can show another certificate each time. Then all are told anew. */
const MAX_REPORTED = 1000

/** A target with another certificate than before still gets its blocks, as at the reference; it is told once (S4). */
function reportingChanges({ certificates }: RelayQueue, log: RelayLog): CertificateMemory {
  const reported = new Set<string>()
  return {
    recall: (hostPort) => certificates.recall(hostPort),
    remember: (hostPort, seen) => certificates.remember(hostPort, seen),
    replace: (hostPort, seen) => certificates.replace(hostPort, seen),
    async reportChange(hostPort, seen) {
      if (reported.has(hostPort + seen.sha256)) return
      if (reported.size >= MAX_REPORTED) reported.clear()
      reported.add(hostPort + seen.sha256)
      log.warn({ server: hostPort, sha256: seen.sha256 }, 'a server shows another certificate than before')
    },
  }
}

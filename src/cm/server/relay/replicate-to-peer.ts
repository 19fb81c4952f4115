import type { Secret } from '../../../base/secret.ts'
import { anyAddress } from '../../../net/address-guard.ts'
import { CmProtocolError } from '../../client/cm-protocol-error.ts'
import type { CmSession, StoreReply } from '../../client/cm-session.ts'
import type { CmClientEnvironment } from '../../client/connect-cm-server.ts'
import { describeFailures } from '../../client/describe-failures.ts'
import { type ServerAttempt, type ServerFailure, withServers } from '../../client/with-servers.ts'
import type { ServerAddress } from '../../transport.ts'
import { RELAY_LIMITS } from './limits.ts'
import type { ReplicaEntry } from './queue-port.ts'
import { nextRetry } from './retry-schedule.ts'
import type { RunOutcome, SendContext } from './send-context.ts'

/** The one server that gets a copy of everything (CM wire 9.3). */
export interface ReplicationPeer {
  readonly server: ServerAddress
  /** Of the account `replication` there. */
  readonly authKey: Secret<string>
  /** SHA-1 or SHA-256 of its certificate, lower-case hex; undefined: what was seen first is remembered. */
  readonly certificateDigest: string | undefined
}

/** The name of the peer among the targets, and its role there; reference servers compare it exactly (CM wire 7.7). */
export const PEER_TARGET = 'replicate'
const PEER_USER = 'replication'

/**
 * Sends the peer what waits for it, in the order of arrival. An entry that is refused holds up later ones of the same
 * key alone: a key that was removed can never come back by being overtaken (the reference's order is that of hashes).
 */
export async function replicateToPeer(peer: ReplicationPeer, context: SendContext): Promise<RunOutcome> {
  return new PeerRun(peer, context).replicate()
}

class PeerRun {
  #hasProgress = false
  readonly #peer: ReplicationPeer
  readonly #context: SendContext
  /** Keys with an entry that has to go first. */
  readonly #held = new Set<string>()
  /** The entry that is being answered for. */
  #offered: ReplicaEntry | undefined

  constructor(peer: ReplicationPeer, context: SendContext) {
    this.#peer = peer
    this.#context = context
  }

  async replicate(): Promise<RunOutcome> {
    const { randomInt, sessions } = this.#context
    const { server } = this.#peer
    const environment = environmentFor(this.#peer, this.#context.environment)
    const outcome = await withServers(
      { servers: [server], judge: anyAddress, environment, randomInt, isolation: PEER_TARGET },
      (session) => sessions.use(session, async () => (await this.#enter(session)) ?? this.#sendAll(session)),
    )
    if (!sessions.isClosing) await this.#settle(outcome.kind === 'done' ? [] : outcome.failures)
    if (this.#hasProgress) return 'progress'
    return outcome.kind === 'done' ? 'held' : 'nothing'
  }

  /** A certificate that is not the pinned one sees nothing of ours, the key least of all: QUIT (CM wire 9.3). */
  async #enter(session: CmSession): Promise<ServerAttempt<undefined> | undefined> {
    const { certificateDigest, authKey } = this.#peer
    const { log } = this.#context
    const isPinned = certificateDigest === undefined || session.certificateDigests.includes(certificateDigest)
    const peer = session.hostPort
    const reply = isPinned
      ? await session.login(PEER_USER, authKey)
      : ({ kind: 'certificate-changed' } as const)
    switch (reply.kind) {
      case 'ok':
        return undefined
      case 'refused':
        log.error({ peer }, 'the replication peer refuses our login')
        return { kind: 'next', reason: 'login-refused' }
      case 'certificate-changed':
        log.error(
          { peer, digests: session.certificateDigests },
          'the replication peer shows another certificate; nothing is sent until cmServer.replicationCertificate is set to it',
        )
        return { kind: 'next', reason: 'certificate-changed' }
    }
  }

  async #sendAll(session: CmSession): Promise<ServerAttempt<undefined>> {
    let refusals = 0
    for (const entry of this.#dueInOrder()) {
      if (this.#context.sessions.isClosing) return { kind: 'next', reason: 'closed' }
      refusals = (await this.#send(session, entry)) ? 0 : refusals + 1
      if (refusals >= RELAY_LIMITS.refusalsInARow) return { kind: 'next', reason: 'refused' }
    }
    return { kind: 'done', value: undefined }
  }

  /** Entries by arrival, also those that arrive meanwhile; without those that have to wait, and what is behind them. */
  *#dueInOrder(): Generator<ReplicaEntry> {
    const { queue, clock } = this.#context
    for (let afterId = 0; ; ) {
      const page = queue.replicas.after(afterId, RELAY_LIMITS.replicasPerPage)
      if (page.length === 0) return
      for (const entry of page) {
        afterId = entry.id
        if (entry.nextMs > clock.now()) this.#held.add(orderKey(entry))
        if (!this.#held.has(orderKey(entry))) yield entry
      }
    }
  }

  /** False: refused, and tried again later. Throws CmProtocolError when the session is over. */
  async #send(session: CmSession, entry: ReplicaEntry): Promise<boolean> {
    const { queue, log } = this.#context
    this.#offered = entry
    const reply = await this.#offer(session, entry)
    this.#offered = undefined
    if (reply === 'done' || reply === 'gone') {
      await queue.replicas.remove(entry.id)
      this.#hasProgress = true
      return true
    }
    if (reply === 'set-aside') return true
    this.#held.add(orderKey(entry))
    await queue.replicas.delay(entry.id, this.#retryAfter(entry.failures))
    log.warn({ kind: entry.kind }, 'the replication peer refuses an entry')
    return false
  }

  /** What we cannot send at all stays for people to look at; it must not end the loop (S3). */
  async #offer(session: CmSession, entry: ReplicaEntry): Promise<StoreReply['kind'] | 'gone' | 'set-aside'> {
    const { queue, log } = this.#context
    try {
      if (entry.kind === 'account') return (await session.replogin(entry.userId, entry.authKey)).kind
      return await this.#offerBlock(session, entry)
    } catch (cause) {
      if (cause instanceof CmProtocolError) throw cause
      log.error(
        { cause, kind: entry.kind },
        'an entry cannot be sent to the replication peer; it was set aside',
      )
      await queue.replicas.setAside(entry.id)
      return 'set-aside'
    }
  }

  async #offerBlock(
    session: CmSession,
    { type, key, userId, text }: Extract<ReplicaEntry, { kind: 'block' }>,
  ): Promise<StoreReply['kind'] | 'gone'> {
    const how = { kind: 'replicate', userId } as const
    if (type !== 'data') return (await session.storeText(key, text, how)).kind
    const block = await this.#context.blocks.find(key, { type: 'data' })
    // Pruned meanwhile: too old for the peer, too.
    if (block === undefined) return 'gone'
    let header = ''
    for await (const record of block.records()) header = record
    const chunks: Uint8Array[] = []
    for await (const chunk of block.payload()) chunks.push(chunk)
    return (await session.storeData(key, header, Buffer.concat(chunks), how)).kind
  }

  async #settle(failures: readonly ServerFailure[]): Promise<void> {
    const { queue, log } = this.#context
    const before = queue.targets.get(PEER_TARGET)
    await this.#delayWhatBrokeIt()
    if (failures.length > 0) {
      const retry = this.#retryAfter(before.failures)
      await queue.targets.set(PEER_TARGET, retry)
      log.warn({ why: describeFailures(failures), ...retry }, 'the replication peer does not take everything')
    } else if (before.failures > 0) {
      await queue.targets.set(PEER_TARGET, { failures: 0, nextMs: 0 })
      log.info({}, 'the replication peer takes everything again')
    }
  }

  /**
   * A connection that breaks says nothing of the entry the first time. One that breaks it again and again has to wait
   * longer than the peer itself, so that the others get past it.
   */
  async #delayWhatBrokeIt(): Promise<void> {
    const entry = this.#offered
    if (entry === undefined) return
    const failures = entry.failures + 1
    const { nextMs } = this.#retryAfter(entry.failures + 1)
    await this.#context.queue.replicas.delay(entry.id, {
      failures,
      nextMs: entry.failures === 0 ? 0 : nextMs,
    })
  }

  #retryAfter(failures: number): { readonly failures: number; readonly nextMs: number } {
    const { clock, retryScheduleMs } = this.#context
    return nextRetry(failures, clock.now(), retryScheduleMs)
  }
}

/** Entries with the same one must arrive in order. */
function orderKey(entry: ReplicaEntry): string {
  return entry.kind === 'block' ? `block ${entry.key}` : `account ${entry.authKey.reveal()}`
}

/** With a pin, what was seen before does not count: the owner said which certificate it is. */
function environmentFor(
  { certificateDigest }: ReplicationPeer,
  environment: CmClientEnvironment,
): CmClientEnvironment {
  if (certificateDigest === undefined) return environment
  const nothing = async (): Promise<undefined> => undefined
  return {
    ...environment,
    certificateMemory: { recall: nothing, remember: nothing, reportChange: nothing, replace: nothing },
  }
}

import type { Clock } from '../../../base/clock.ts'
import { deliverToTarget } from './deliver-to-target.ts'
import { RELAY_LIMITS } from './limits.ts'
import type { SenderState } from './port.ts'
import { PEER_TARGET, type ReplicationPeer, replicateToPeer } from './replicate-to-peer.ts'
import type { RunOutcome, SendContext } from './send-context.ts'

/**
 * Looks again and again what is due, and starts a run for each target that has none; runs do not wait for each other
 * (CM wire 9.4). A look never throws, and a run that throws is logged and looked at again with the next interval (S3).
 */
export class RelayLoop {
  readonly #context: SendContext
  readonly #peer: ReplicationPeer | undefined
  readonly #runs = new Map<string, Promise<void>>()
  #lastLookMs: number
  /** What is due for the peer waits behind what is delayed: each connection that closes would ask it in vain. */
  #peerRestsUntilMs = 0
  #cancelLook: () => void
  #cancelWake: (() => void) | undefined
  #looking: Promise<void> | undefined
  /** Asked for while one was going on, which may have been too early to see the reason. */
  #isLookWanted = false

  constructor(context: SendContext, peer: ReplicationPeer | undefined) {
    this.#context = context
    this.#peer = peer
    this.#lastLookMs = this.#clock.now()
    this.#cancelLook = this.#clock.after(RELAY_LIMITS.startDelayMs, () => this.look())
    const waiting = context.queue.counts()
    if (waiting.proxied + waiting.replicas > 0) context.log.info({ ...waiting }, 'blocks wait to be sent')
  }

  /** Looks soon; calls that come together count once. */
  wake(): void {
    if (this.#isClosing || this.#cancelWake !== undefined) return
    this.#cancelWake = this.#clock.after(RELAY_LIMITS.wakeDelayMs, () => {
      this.#cancelWake = undefined
      this.look()
    })
  }

  /** Starts what is due now. */
  look(): void {
    if (this.#isClosing) return
    this.#isLookWanted = this.#looking !== undefined
    if (this.#isLookWanted) return
    this.#looking = this.#startDue()
      .catch((cause: unknown) => {
        this.#context.log.error({ cause }, 'the relay queue cannot be read')
      })
      .finally(() => {
        this.#looking = undefined
        if (this.#isLookWanted) this.look()
        else this.#lookLater()
      })
  }

  state(): SenderState {
    const silentMs = this.#clock.now() - this.#lastLookMs
    const isStalled = silentMs > RELAY_LIMITS.stalledIntervals * RELAY_LIMITS.intervalMs
    return isStalled ? { kind: 'stalled', seconds: Math.floor(silentMs / 1000) } : { kind: 'running' }
  }

  /** Cuts off what is being sent; it is sent again after the next start. */
  async close(): Promise<void> {
    this.#context.sessions.closeAll()
    this.#cancelLook()
    this.#cancelWake?.()
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = this.#clock.after(RELAY_LIMITS.closeMs, resolve)
    await Promise.race([this.settled(), late])
    cancel()
  }

  /** Resolves when nothing is looked at or sent. */
  async settled(): Promise<void> {
    while (this.#looking !== undefined || this.#runs.size > 0) {
      await Promise.all([this.#looking, ...this.#runs.values()])
    }
  }

  get #clock(): Clock {
    return this.#context.clock
  }

  get #isClosing(): boolean {
    return this.#context.sessions.isClosing
  }

  async #startDue(): Promise<void> {
    const { queue, log } = this.#context
    const nowMs = this.#clock.now()
    const expired = await queue.proxied.expire(nowMs)
    if (expired > 0) log.warn({ blocks: expired }, 'blocks were given up: no target took them in time')
    const peer = this.#peer
    if (peer !== undefined && this.#isPeerDue(nowMs)) this.#start(PEER_TARGET, () => this.#replicate(peer))
    for (const target of queue.proxied.dueTargets(nowMs)) {
      this.#start(target, () => deliverToTarget(target, this.#context))
    }
    this.#lastLookMs = nowMs
  }

  #isPeerDue(nowMs: number): boolean {
    const { queue } = this.#context
    const notBeforeMs = Math.max(this.#peerRestsUntilMs, queue.targets.get(PEER_TARGET).nextMs)
    return notBeforeMs <= nowMs && queue.replicas.hasDue(nowMs)
  }

  async #replicate(peer: ReplicationPeer): Promise<RunOutcome> {
    const outcome = await replicateToPeer(peer, this.#context)
    if (outcome === 'held') this.#peerRestsUntilMs = this.#clock.now() + RELAY_LIMITS.intervalMs
    return outcome
  }

  /** The peer has a place of its own; a target without a place is started when a run ends. */
  #start(target: string, run: () => Promise<RunOutcome>): void {
    const others = this.#runs.size - Number(this.#runs.has(PEER_TARGET))
    if (this.#isClosing || this.#runs.has(target)) return
    if (target !== PEER_TARGET && others >= RELAY_LIMITS.activeTargets) return
    const wasFull = (): boolean => this.#runs.size >= RELAY_LIMITS.activeTargets
    const running = run().then(
      (outcome) => outcome === 'progress' || wasFull(),
      (cause: unknown) => {
        // After the end, the database is gone under what was cut off.
        if (!this.#isClosing) this.#context.log.error({ cause, target }, 'sending to a server failed')
        // It is still due: at once, it would fail at once again.
        return false
      },
    )
    this.#runs.set(
      target,
      running.then((lookAgain) => {
        this.#runs.delete(target)
        if (lookAgain) this.look()
        else this.#lookLater()
      }),
    )
  }

  /** With the interval, or when something that is delayed becomes due. */
  #lookLater(): void {
    if (this.#isClosing) return
    this.#cancelLook()
    this.#cancelLook = this.#clock.after(this.#nextLookMs(), () => this.look())
  }

  #nextLookMs(): number {
    const { queue, log } = this.#context
    const nowMs = this.#clock.now()
    try {
      // Too early does no harm: the look finds nothing.
      const dueMs = [queue.proxied.nextDueMs(nowMs), queue.replicas.nextDueMs(nowMs)]
      return Math.min(RELAY_LIMITS.intervalMs, ...dueMs.flatMap((ms) => (ms === undefined ? [] : ms - nowMs)))
    } catch (cause) {
      log.error({ cause }, 'the relay queue cannot be read')
      return RELAY_LIMITS.intervalMs
    }
  }
}

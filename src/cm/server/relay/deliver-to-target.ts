import { CmProtocolError } from '../../client/cm-protocol-error.ts'
import type { CmSession, StoreCommand } from '../../client/cm-session.ts'
import { describeFailures } from '../../client/describe-failures.ts'
import { type ServerAttempt, type ServerFailure, withServers } from '../../client/with-servers.ts'
import { parseTransport } from '../../transport.ts'
import { RELAY_LIMITS } from './limits.ts'
import type { Delivery, ProxiedBlockToSend } from './queue-port.ts'
import { nextRetry } from './retry-schedule.ts'
import type { RunOutcome, SendContext } from './send-context.ts'

const RELAYED: StoreCommand = { kind: 'relayed' }

/**
 * Offers what is due to one target: each of its servers gets what the one before did not take, the block it broke on
 * included (the reference sends nothing more, CM wire 9.4). What a server refuses is delayed by itself and holds up
 * nothing else; what reached no server delays the target.
 */
export async function deliverToTarget(target: string, context: SendContext): Promise<RunOutcome> {
  const run = new TargetRun(target, context)
  await run.deliver()
  return run.hasProgress ? 'progress' : 'nothing'
}

class TargetRun {
  hasProgress = false
  readonly #target: string
  readonly #context: SendContext
  readonly #pending: Map<number, Delivery>
  /** Offered and not taken: refused, or the connection broke over it. */
  readonly #offered = new Set<number>()

  constructor(target: string, context: SendContext) {
    this.#target = target
    this.#context = context
    const { queue, clock } = context
    const due = queue.proxied.dueDeliveries(target, clock.now(), RELAY_LIMITS.deliveriesPerRun)
    this.#pending = new Map(due.map((delivery) => [delivery.itemId, delivery]))
  }

  async deliver(): Promise<void> {
    const { environment, judge, randomInt, sessions } = this.#context
    const transport = parseTransport(this.#target)
    if (transport?.kind !== 'servers') throw new Error('a target was queued that names no servers')
    const { servers } = transport
    const outcome = await withServers(
      { servers, judge, environment, randomInt, isolation: 'relay' },
      (session) => sessions.use(session, () => this.#offerAll(session)),
    )
    if (!sessions.isClosing) await this.#settle(outcome.failures)
  }

  async #offerAll(session: CmSession): Promise<ServerAttempt<undefined>> {
    let refusals = 0
    for (const { itemId } of [...this.#pending.values()]) {
      if (this.#context.sessions.isClosing) break
      const outcome = await this.#offer(session, itemId)
      // What broke on our side left the session in the middle of a command.
      if (outcome === 'set-aside') break
      refusals = outcome === 'refused' ? refusals + 1 : 0
      if (refusals >= RELAY_LIMITS.refusalsInARow) break
    }
    return this.#pending.size === 0 ? { kind: 'done', value: undefined } : { kind: 'next', reason: 'refused' }
  }

  /** Throws CmProtocolError when the session is over; the block is offered to the next server. */
  async #offer(session: CmSession, itemId: number): Promise<'done' | 'refused' | 'set-aside'> {
    const { queue } = this.#context
    const block = queue.proxied.load(itemId)
    if (block === undefined) {
      this.#pending.delete(itemId)
      return 'done'
    }
    this.#offered.add(itemId)
    const reply = await this.#send(session, block, itemId)
    if (reply === 'refused') return reply
    this.#offered.delete(itemId)
    this.#pending.delete(itemId)
    if (reply === 'set-aside') return reply
    await queue.proxied.delivered(itemId, this.#target)
    this.hasProgress = true
    return reply
  }

  /** What we cannot send, for whatever reason, is delayed at once and logged: it must not end the loop (S3). */
  async #send(
    session: CmSession,
    { key, text, payload }: ProxiedBlockToSend,
    itemId: number,
  ): Promise<'done' | 'refused' | 'set-aside'> {
    try {
      const reply =
        payload === undefined
          ? await session.storeText(key, text, RELAYED)
          : await session.storeData(key, text, payload, RELAYED)
      return reply.kind
    } catch (cause) {
      if (cause instanceof CmProtocolError) throw cause
      this.#context.log.error({ cause, target: this.#target }, 'a block cannot be passed on as it is')
      await this.#delay(itemId)
      return 'set-aside'
    }
  }

  async #settle(failures: readonly ServerFailure[]): Promise<void> {
    const { queue, log } = this.#context
    const target = this.#target
    const untouched = [...this.#pending.keys()].filter((itemId) => !this.#offered.has(itemId))
    for (const itemId of this.#pending.keys()) if (this.#offered.has(itemId)) await this.#delay(itemId)
    if (this.#offered.size > 0) {
      const why = describeFailures(failures)
      log.warn({ target, blocks: this.#offered.size, why }, 'blocks were not taken by a target')
    }
    const before = queue.targets.get(target)
    if (untouched.length > 0) {
      const retry = this.#retryAfter(before.failures)
      await queue.targets.set(target, retry)
      const fields = { target, blocks: untouched.length, why: describeFailures(failures), ...retry }
      log.warn(fields, 'a target cannot be reached')
    } else if (before.failures > 0) {
      await queue.targets.set(target, { failures: 0, nextMs: 0 })
      log.info({ target }, 'a target can be reached again')
    }
  }

  async #delay(itemId: number): Promise<void> {
    const failures = this.#pending.get(itemId)?.failures ?? 0
    await this.#context.queue.proxied.delay(itemId, this.#target, this.#retryAfter(failures))
  }

  #retryAfter(failures: number): { readonly failures: number; readonly nextMs: number } {
    const { clock, retryScheduleMs } = this.#context
    return nextRetry(failures, clock.now(), retryScheduleMs)
  }
}

import type { Clock } from '../../../base/clock.ts'
import type { AddressJudge } from '../../../net/address-guard.ts'
import type { CmSession } from '../../client/cm-session.ts'
import type { CmClientEnvironment } from '../../client/connect-cm-server.ts'
import type { RandomInt } from '../../client/server-list.ts'
import type { CmServerLog } from '../context.ts'
import type { CmBlocks } from '../port.ts'
import type { RelayQueue } from './queue-port.ts'

/** Keys of blocks at debug only; hosts of servers are told, they are nobody's address. */
export interface RelayLog extends CmServerLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** What sending needs from outside. */
export interface SendContext {
  readonly queue: RelayQueue
  readonly blocks: CmBlocks
  readonly environment: CmClientEnvironment
  /** For the hosts that `Post-To` lines name (CM wire S6). */
  readonly judge: AddressJudge
  readonly randomInt: RandomInt
  readonly clock: Clock
  readonly log: RelayLog
  /** Milliseconds to wait after n failures in a row. */
  readonly retryScheduleMs: readonly number[]
  readonly sessions: OpenSessions
}

/** The sessions that send now, so that an end can cut them off. */
export class OpenSessions {
  readonly #open = new Set<CmSession>()
  #isClosing = false

  get isClosing(): boolean {
    return this.#isClosing
  }

  async use<T>(session: CmSession, work: () => Promise<T>): Promise<T> {
    this.#open.add(session)
    try {
      return await work()
    } finally {
      this.#open.delete(session)
    }
  }

  closeAll(): void {
    this.#isClosing = true
    for (const session of this.#open) session.close()
  }
}

/** How a run ended. */
export type RunOutcome =
  /** There may be more that can be sent right away. */
  | 'progress'
  /** Nothing was taken; what was tried is delayed. */
  | 'nothing'
  /** The server is there, and everything that is due waits behind something that is delayed. */
  | 'held'

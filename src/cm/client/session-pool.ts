import { type Clock, duration } from '../../base/clock.ts'
import type { CmSession } from './cm-session.ts'

/** Milliseconds a session stays open without work: long enough for the next message, short for servers with 20 slots. */
const IDLE_MS = 4 * duration.second
/** Idle sessions to one server: the reference has 20 connections for everybody (CM wire 7.1). */
const MAX_IDLE_PER_SERVER = 2
/** Idle sessions to all servers together: each is a socket and a timer. */
const MAX_IDLE = 32
/** Sessions in use at one place from which on a task waits for one of them rather than open another. */
const ENOUGH_IN_USE = 2
/** Milliseconds it waits: about what a new connection costs. A long upload holds nobody up for longer. */
const SHARE_WAIT_MS = 50
/** Milliseconds goodbyes get when the process ends; then the sockets are dropped. */
const FAREWELL_MS = 2 * duration.second

/** What makes two sessions interchangeable. */
export interface SessionPlace {
  readonly hostPort: string
  /** Who logged in on it, and whose stream it is; equal only for equal logins and isolations. */
  readonly identity: string
}

interface IdleSession {
  readonly place: SessionPlace
  readonly session: CmSession
  readonly cancelExpiry: () => void
}

/**
 * Sessions that are kept for a few seconds, so that small messages one after the other cost one connection. A session
 * belongs to one task at a time: `take` hands it out, `keep` or `forget` ends that. The pool also knows the sessions in
 * use, so that nothing stays open after `close`.
 */
export class CmSessionPool {
  readonly #clock: Clock
  #idle: IdleSession[] = []
  readonly #used = new Map<CmSession, SessionPlace>()
  /** Tasks that wait for a session of a place to come back. */
  #waiting: { readonly place: SessionPlace; readonly wake: () => void }[] = []
  /** Sessions that say goodbye. */
  readonly #leaving = new Map<CmSession, Promise<void>>()
  #closed: boolean = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Sessions that wait for work. */
  get idleCount(): number {
    return this.#idle.length
  }

  /**
   * The session that was used last at this place and that `accepts` approves; one in use is waited for a moment.
   * Undefined when there is none: the caller opens one.
   */
  async take(place: SessionPlace, accepts: (session: CmSession) => boolean): Promise<CmSession | undefined> {
    const idle = this.#takeIdle(place, accepts)
    const inUse = [...this.#used.values()].filter((other) => isSamePlace(other, place)).length
    if (idle !== undefined || inUse < ENOUGH_IN_USE || this.#closed) return idle
    await this.#nextReturn(place)
    return this.#takeIdle(place, accepts)
  }

  /** Takes note of a session somebody opened and works with. After `close` it is dropped at once. */
  add(place: SessionPlace, session: CmSession): void {
    this.#used.set(session, place)
    if (this.#closed) session.close()
  }

  /** The task is done with it: it waits for the next one, or says goodbye when it cannot or there are enough. */
  keep(place: SessionPlace, session: CmSession): void {
    if (this.#closed || !session.isReusable) {
      this.dismiss(session)
      return
    }
    this.#used.delete(session)
    const idle: IdleSession = {
      place,
      session,
      cancelExpiry: this.#clock.after(IDLE_MS, () => this.#retire(idle)),
    }
    this.#idle.push(idle)
    const sameServer = this.#idle.filter((other) => other.place.hostPort === place.hostPort)
    const [oldest] = sameServer.length > MAX_IDLE_PER_SERVER ? sameServer : this.#idle
    // With somebody waiting it is in use again in a moment.
    if (this.#wakeOne(place)) return
    if (oldest !== undefined && (sameServer.length > MAX_IDLE_PER_SERVER || this.#idle.length > MAX_IDLE)) {
      this.#retire(oldest)
    }
  }

  /** Says goodbye in the background; nobody waits for a server that takes its time. */
  dismiss(session: CmSession): void {
    this.#used.delete(session)
    this.#leaving.set(
      session,
      session.quit().finally(() => this.#leaving.delete(session)),
    )
  }

  /** Drops a session that broke. */
  forget(session: CmSession): void {
    session.close()
    this.#used.delete(session)
  }

  /** Ends every session: idle ones with a goodbye, those that do not end in time by dropping them. */
  async close(): Promise<void> {
    this.#closed = true
    for (const idle of [...this.#idle]) this.#retire(idle)
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = this.#clock.after(FAREWELL_MS, resolve)
    const farewells = Promise.all(this.#leaving.values())
    await Promise.race([farewells, late])
    cancel()
    for (const session of [...this.#used.keys(), ...this.#leaving.keys()]) session.close()
    await farewells
  }

  #retire(idle: IdleSession): void {
    this.#remove(idle)
    this.dismiss(idle.session)
  }

  #takeIdle(place: SessionPlace, accepts: (session: CmSession) => boolean): CmSession | undefined {
    const found = this.#idle.findLast((idle) => isSamePlace(idle.place, place) && accepts(idle.session))
    if (found === undefined) return undefined
    this.#remove(found)
    this.add(place, found.session)
    return found.session
  }

  #wakeOne(place: SessionPlace): boolean {
    const next = this.#waiting.find((waiter) => isSamePlace(waiter.place, place))
    this.#waiting = this.#waiting.filter((other) => other !== next)
    next?.wake()
    return next !== undefined
  }

  /** Resolves when a session of the place comes back and it is this waiter's turn, or when the time is over. */
  async #nextReturn(place: SessionPlace): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter = { place, wake: resolve }
    this.#waiting.push(waiter)
    const cancel = this.#clock.after(SHARE_WAIT_MS, resolve)
    await promise
    cancel()
    this.#waiting = this.#waiting.filter((other) => other !== waiter)
  }

  #remove(idle: IdleSession): void {
    idle.cancelExpiry()
    this.#idle = this.#idle.filter((other) => other !== idle)
  }
}

function isSamePlace(one: SessionPlace, other: SessionPlace): boolean {
  return one.hostPort === other.hostPort && one.identity === other.identity
}

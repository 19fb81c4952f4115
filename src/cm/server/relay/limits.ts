import { duration } from '../../../base/clock.ts'
import type { QueueRoom } from './queue-port.ts'

/** Room for what is passed on: a user can have a message of 1 GiB under way to 100 servers, and a household several (S9). */
export const DEFAULT_ROOM: QueueRoom = {
  bytes: 8 * 1024 ** 3,
  deliveries: 60_000,
  bytesPerUser: 2 * 1024 ** 3,
  deliveriesPerUser: 20_000,
}

/** Bounds and times of the sender, each with its reason. */
export const RELAY_LIMITS = {
  /** `Post-To` lines of one block: the recipients of one message can be as many (SMTP takes 100). */
  targets: 100,
  /** Servers in all of them: each may cost a connection at every attempt (S6). */
  servers: 200,
  /** Milliseconds a block is offered to its targets, after its Date or after AFTER (CM wire 9.4, `expire_days`). */
  lifetimeMs: 7 * duration.day,
  /** Milliseconds after the start until the first look: the listener and its clients come first (the reference: 18 s). */
  startDelayMs: 10 * duration.second,
  /** Milliseconds between looks when nothing wakes the sender (CM wire 9.7, `run_queue_interval`). */
  intervalMs: 2 * duration.minute,
  /** Milliseconds from the end of a connection to the look: connections that end together are one reason. */
  wakeDelayMs: 200,
  /** Intervals without a look after which SELFTEST says so (CM wire 7.9). */
  stalledIntervals: 8,
  /** Targets that are sent to at once; one that hangs holds up itself only. */
  activeTargets: 8,
  /** Blocks for one target in one connection: bounds what is held of them, and lets others have their turn. */
  deliveriesPerRun: 1_000,
  /** Refusals in a row after which a server is taken to refuse everything. */
  refusalsInARow: 20,
  /** Entries read of the peer's queue at once: a text can have 1 MiB. */
  replicasPerPage: 8,
  /** Milliseconds the end waits for connections that are just being made. */
  closeMs: 2 * duration.second,
} as const

import { duration } from '../../base/clock.ts'

/** Limits of one connection to our CM server; what the reference leaves open is bounded here (CM wire S9). */
export const SERVER_LIMITS = {
  /** Milliseconds for the next whole line or chunk of payload; octets that complete no line do not count (CM wire 7.10). */
  idleMs: 60 * duration.second,
  /** Milliseconds after a refused LOGIN: the reference client leaves such a connection hanging (CM wire 8.2). */
  refusedLoginIdleMs: 10 * duration.second,
  /** Octets per second of the slowest peer; bounds the time of one payload in either direction (CM wire 7.10). */
  slowestBytesPerSecond: 768,
  /** Wrong commands in a row that end a connection (CM wire 7.3). */
  invalidCommands: 3,
  /** Refused LOGINs of one connection: people mistype, guessers do not stop. */
  refusedLogins: 10,
  /** Octets of a block that will not be stored but is read to its end, so that the dialogue can go on. */
  discardedBytes: 64 * 1024 * 1024,
} as const

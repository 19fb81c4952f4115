/**
 * Where the bridge writes what happens. `fields` are plain data. At info, warn and error they carry row ids and
 * counts only: addresses, subjects and key ids of correspondents belong to debug (design 5).
 */
export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  /** `fields.cause` may be the Error itself; it is logged once, where it is finally caught. */
  error(fields: LogFields, message: string): void
  /** The same log with these fields on every line. */
  child(fields: LogFields): Log
}

export type LogFields = Readonly<Record<string, unknown>>

/** Keeps nothing: for verbs that print their own result, and for tests. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
}

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Who holds a data directory; written beside the lock, so that others can say so. */
export interface LockHolder {
  readonly pid: number
  /** Milliseconds since 1970 UTC. */
  readonly startedAtMs: number
  /** The verb that runs, e.g. `serve`. */
  readonly verb: string
  /** Where the sockets of this run lie: `control.sock` and the private Redis's. */
  readonly runDirectory: string
}

export type LockOutcome =
  | {
      readonly kind: 'acquired'
      readonly lock: InstanceLock
      /** Who had it before and did not give it back (killed, power cut): its run directory may hold leftovers. */
      readonly abandoned: LockHolder | undefined
    }
  /** `holder` is undefined in the instant between taking the lock and saying so. */
  | { readonly kind: 'held'; readonly holder: LockHolder | undefined }

export interface InstanceLock {
  release(): void
}

const LOCK_FILE = 'lock.db'
const HOLDER_FILE = 'lock.json'
/** SQLITE_BUSY: another process has the exclusive transaction. */
const SQLITE_BUSY = 5

/**
 * Takes the one lock of a data directory: an exclusive transaction on `lock.db`, which the system frees at once when
 * the process ends, however it ends (design 4). Never waits. Throws for a directory that cannot be written.
 */
export function acquireInstanceLock(dataDirectory: string, holder: LockHolder): LockOutcome {
  const database = new DatabaseSync(join(dataDirectory, LOCK_FILE), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return { kind: 'held', holder: readLockHolder(dataDirectory) }
    throw error
  }
  const abandoned = readLockHolder(dataDirectory)
  writeHolder(dataDirectory, holder)
  const release = (): void => {
    if (!database.isOpen) return
    rmSync(join(dataDirectory, HOLDER_FILE), { force: true })
    database.close()
  }
  return { kind: 'acquired', lock: { release }, abandoned }
}

/** Who says to hold the directory; a process that was killed is still named, only taking the lock tells. */
export function readLockHolder(dataDirectory: string): LockHolder | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(dataDirectory, HOLDER_FILE), 'utf8'))
    return isHolder(parsed) ? parsed : undefined
  } catch (error) {
    if (error instanceof SyntaxError || isMissing(error)) return undefined
    throw error
  }
}

/** The same, while a process of its id lives; takes no lock. */
export function livingLockHolder(dataDirectory: string): LockHolder | undefined {
  const holder = readLockHolder(dataDirectory)
  return holder !== undefined && isAlive(holder.pid) ? holder : undefined
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // Of another user, but there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Whole or not at all: a reader never sees half a file. */
function writeHolder(dataDirectory: string, holder: LockHolder): void {
  const path = join(dataDirectory, HOLDER_FILE)
  writeFileSync(`${path}.new`, `${JSON.stringify(holder)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function isHolder(value: unknown): value is LockHolder {
  if (typeof value !== 'object' || value === null) return false
  const { pid, startedAtMs, verb, runDirectory } = value as Record<string, unknown>
  return (
    typeof pid === 'number' &&
    typeof startedAtMs === 'number' &&
    typeof verb === 'string' &&
    typeof runDirectory === 'string'
  )
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

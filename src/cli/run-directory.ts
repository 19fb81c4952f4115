import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAX_SOCKET_PATH_BYTES } from '../net/unix-socket.ts'
import { CliError } from './cli-error.ts'

/** The longest name of a socket in a run directory, with its slash. */
const LONGEST_SOCKET_NAME = '/control.sock'

/** Where the sockets of one run lie: private to the owner and short enough for a socket path. */
export interface RunDirectory {
  readonly path: string
  /** Removes it when it was made for this run alone. */
  release(): void
}

/**
 * `run` in the data directory, or, when that path is too long for a unix socket (case O07), a fresh directory below
 * $XDG_RUNTIME_DIR or the system's temporary one. The path is told to others by the lock's holder file.
 */
export function openRunDirectory(
  dataDirectory: string,
  environment: Readonly<Record<string, string | undefined>>,
): RunDirectory {
  const own = join(dataDirectory, 'run')
  if (fits(own)) {
    mkdirSync(own, { recursive: true, mode: 0o700 })
    chmodSync(own, 0o700)
    return { path: own, release: () => undefined }
  }
  const parents = [environment.XDG_RUNTIME_DIR, tmpdir(), '/tmp']
  for (const parent of parents) {
    if (parent === undefined || !existsSync(parent) || !fits(join(parent, 'cmbridge-XXXXXX'))) continue
    const path = mkdtempSync(join(parent, 'cmbridge-'))
    return { path, release: () => rmSync(path, { recursive: true, force: true }) }
  }
  throw new CliError(
    `no place for sockets: ${own} has ${Buffer.byteLength(own + LONGEST_SOCKET_NAME)} octets, a socket path has at most ` +
      `${MAX_SOCKET_PATH_BYTES}; set XDG_RUNTIME_DIR or TMPDIR to a short directory, or use a shorter --data`,
  )
}

function fits(directory: string): boolean {
  return Buffer.byteLength(directory + LONGEST_SOCKET_NAME) <= MAX_SOCKET_PATH_BYTES
}

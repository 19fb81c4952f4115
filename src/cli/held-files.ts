import { readFileSync, statSync } from 'node:fs'

/** Where Linux lists every lock there is. */
const LOCKS = '/proc/locks'

/**
 * True when another process holds a lock on the file, as the reference client does on LOCKFILE while it runs (CM message
 * 10.3). False also where the system does not say.
 */
export function isLockedByOthers(path: string): boolean {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (found === undefined) return false
  return isInLockList(lockList(), { inode: found.ino, device: found.dev })
}

/** `1: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF`: device in hex, inode in decimal. */
export function isInLockList(
  list: string,
  { inode, device }: { readonly inode: bigint; readonly device: bigint },
): boolean {
  // As Linux packs a device number.
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n)
  const wanted = `${major.toString(16).padStart(2, '0')}:${minor.toString(16).padStart(2, '0')}:${inode}`
  return list
    .split('\n')
    .some((line) => !line.includes('->') && line.split(/\s+/).some((field) => field === wanted))
}

function lockList(): string {
  try {
    return readFileSync(LOCKS, 'utf8')
  } catch {
    // Not Linux, or not ours to read: it cannot be told.
    return ''
  }
}

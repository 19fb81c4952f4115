import type { LockHolder } from '../store/instance-lock.ts'

/** One line: who has the data directory, since when, and what to do. */
export function heldMessage(directory: string, holder: LockHolder | undefined): string {
  if (holder === undefined)
    return `${directory} is in use by another cmbridge; wait for it, or use another --data`
  const since = new Date(holder.startedAtMs).toISOString()
  return (
    `${directory} is in use by "cmbridge ${holder.verb}", process ${holder.pid}, since ${since}; ` +
    'stop that one, or use another --data'
  )
}

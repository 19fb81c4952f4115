import { createHash } from 'node:crypto'
import { duration } from '../../base/clock.ts'
import type { TaskArgument, TaskName, TaskResult } from './tasks.ts'
import type { RunOptions, WorkerPool } from './worker-pool.ts'

/** Tasks that say the same of the same text as long as the time is about the same. */
const REMEMBERED: ReadonlySet<TaskName> = new Set([
  'verifyKeyAnnouncement',
  'parseCertificate',
  'validateBlock',
])
/** Milliseconds that the time a verdict was asked for may differ: an expiry is noticed that much later at most. */
const SAME_TIME_MS = duration.minute
/** Verdicts kept; a key's may hold as much as the key itself (256 KiB), most are a few KiB. */
const MAX_VERDICTS = 64
/** Longer arguments are asked anew: hashing and keeping them is no gain. */
const MAX_ARGUMENT_CHARACTERS = 512 * 1024

interface Verdict {
  readonly nowMs: number
  readonly result: Promise<unknown>
}

/**
 * A pool that verifies the same announcement, claim or certificate once a minute: messages that come in a row ask for the
 * same few keys again and again, and each answer costs a thread milliseconds. Nothing is fetched less often for it.
 * Results are shared: they must not be changed. Tasks with an abort signal are not shared.
 */
export function rememberVerdicts(pool: WorkerPool): WorkerPool {
  const verdicts = new Map<string, Verdict>()
  return {
    run<Name extends TaskName>(
      name: Name,
      argument: TaskArgument<Name>,
      options: RunOptions = {},
    ): Promise<TaskResult<Name>> {
      const question =
        REMEMBERED.has(name) && options.signal === undefined ? questionOf(name, argument) : undefined
      if (question === undefined) return pool.run(name, argument, options)
      const { key, nowMs } = question
      const known = verdicts.get(key)
      if (known !== undefined && Math.abs(known.nowMs - nowMs) <= SAME_TIME_MS) {
        return known.result as Promise<TaskResult<Name>>
      }
      const result = pool.run(name, argument, options)
      remember(verdicts, key, { nowMs, result })
      // A task that failed (its time was up) says nothing about the text.
      result.catch(() => verdicts.delete(key))
      return result
    },
    close: () => pool.close(),
  }
}

function remember(verdicts: Map<string, Verdict>, key: string, verdict: Verdict): void {
  verdicts.delete(key)
  verdicts.set(key, verdict)
  const [oldest] = verdicts.keys()
  if (verdicts.size > MAX_VERDICTS && oldest !== undefined) verdicts.delete(oldest)
}

/** What is asked without the time, and the time; undefined for arguments with octets, or without a time. */
function questionOf(name: TaskName, argument: unknown): { key: string; nowMs: number } | undefined {
  const times: number[] = []
  let hasBytes = false
  const text = JSON.stringify(argument, (field, value: unknown) => {
    if (value instanceof Uint8Array) hasBytes = true
    if (field !== 'nowMs' || typeof value !== 'number') return value instanceof Uint8Array ? null : value
    times.push(value)
    return null
  })
  const [nowMs] = times
  if (hasBytes || nowMs === undefined || times.length > 1 || text.length > MAX_ARGUMENT_CHARACTERS) {
    return undefined
  }
  return { key: createHash('sha256').update(`${name}\n${text}`).digest('base64'), nowMs }
}

import { readLockHolder } from '../store/instance-lock.ts'
import { askRunningBridge } from './control-client.ts'
import type { ServeAddresses } from './serve-addresses.ts'

/** What a running `serve` says about itself. */
export interface RunningBridge {
  readonly pid: number
  /** Milliseconds since 1970 UTC. */
  readonly startedAtMs: number
  readonly addresses: ServeAddresses
}

/** The bridge that runs on a data directory, or undefined when none does. Takes no lock. */
export async function findRunningBridge(dataDirectory: string): Promise<RunningBridge | undefined> {
  const holder = readLockHolder(dataDirectory)
  if (holder === undefined || holder.runDirectory === '') return undefined
  const answer = await askRunningBridge(holder.runDirectory, { verb: 'addresses', args: null })
  if (answer.kind === 'nobody') return undefined
  const { pid, startedAtMs } = holder
  return { pid, startedAtMs, addresses: answer.result as ServeAddresses }
}

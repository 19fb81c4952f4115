import { rowsWaitingForServer } from '../store/work-queries.ts'
import type { DueWork } from '../store/work-rows.ts'
import type { BridgeContext } from './bridge-context.ts'

/** Rows woken when a server answers again; the next success wakes the next ones. */
const WAKE_ROWS = 20

/**
 * Wakes what waits to post to these servers: one that answers again is not left waiting for the end of a back-off of up
 * to an hour. Returns what became due.
 */
export async function wakeWaiting(
  { store }: Pick<BridgeContext, 'store'>,
  hostPorts: readonly string[],
): Promise<DueWork[]> {
  const woken: DueWork[] = []
  for (const hostPort of new Set(hostPorts)) {
    for (const row of rowsWaitingForServer(store.read, hostPort, WAKE_ROWS)) {
      const due = await store.write('wakeWork', { row })
      if (due !== undefined) woken.push(due)
    }
  }
  return woken
}

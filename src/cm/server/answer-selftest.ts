import { duration } from '../../base/clock.ts'
import type { BlockKey } from '../ids.ts'
import type { CmServerContext } from './context.ts'

/** Milliseconds the block store has for a transaction; later commands of the connection wait behind it. */
const STORE_MS = 10 * duration.second
/** A slot that never holds anything. */
const NO_KEY = '0'.repeat(40) as BlockKey

/**
 * SELFTEST (CM wire 7.9): a transaction of the block store, then the sender's state. `FAIL STORE` is a word of ours:
 * the reference does not answer at all when its store is dead.
 */
export async function answerSelftest(context: CmServerContext): Promise<readonly string[]> {
  if (!(await isStoreAlive(context))) return ['FAIL STORE', 'EndBlock']
  const sender = context.relay?.senderState()
  if (sender?.kind === 'stalled') return [`FAIL SENDER ${Math.floor(sender.seconds)}`, 'EndBlock']
  return ['PASS', 'EndBlock']
}

async function isStoreAlive({ blocks, clock, log }: CmServerContext): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const cancel = clock.after(STORE_MS, () => resolve(false))
  const passed = blocks.store({ type: 'data', key: NO_KEY, records: [] }).then(
    () => true,
    (cause: unknown) => {
      log.error({ cause }, 'the block store failed in a self-test')
      return false
    },
  )
  try {
    return await Promise.race([passed, late])
  } finally {
    cancel()
  }
}

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { duration } from '../base/clock.ts'
import type { InboundState } from '../store/inbound-operations.ts'
import { inboundMessage } from '../store/inbound-queries.ts'
import { neededCiphertextFiles } from '../store/outbound-queries.ts'
import type { DueWork } from '../store/work-rows.ts'
import { type BridgeContext, removeDirectory } from './bridge-context.ts'

/** How often rows and files that ended are put away. */
const EVERY_MS = 6 * duration.hour
/** Ended messages are kept this long: a phone that sends again within a day is told that it was queued. */
const KEEP_ENDED_MS = 30 * duration.day
const PRUNE_BATCH = 500
/** No acknowledgment by then: servers have dropped the message, none can come any more (design 4). */
const UNCONFIRMED_AFTER_MS = 10 * duration.day

/**
 * Puts away what ended: ciphertexts no row needs, old rows with their bytes; and tells senders whose messages were never
 * acknowledged. Runs at start and every few hours; returns what ends it.
 */
export function startHousekeeping(
  context: BridgeContext,
  enqueue: (due: readonly DueWork[]) => void,
): () => Promise<void> {
  let isEnded = false
  let running: Promise<void> = Promise.resolve()
  let cancel = (): void => undefined
  const run = (): void => {
    running = keepHouse(context, enqueue)
      .catch((cause: unknown) => context.log.error({ cause }, 'housekeeping failed'))
      .then(() => {
        if (!isEnded) cancel = context.clock.after(EVERY_MS, run)
      })
  }
  run()
  return () => {
    isEnded = true
    cancel()
    return running
  }
}

async function keepHouse(context: BridgeContext, enqueue: (due: readonly DueWork[]) => void): Promise<void> {
  const { store, clock } = context
  enqueue(await store.write('expireUnconfirmed', { postedBeforeMs: clock.now() - UNCONFIRMED_AFTER_MS }))
  for (;;) {
    const acceptedBeforeMs = clock.now() - KEEP_ENDED_MS
    const pruned = await store.write('pruneOutbound', { acceptedBeforeMs, limit: PRUNE_BATCH })
    if (pruned < PRUNE_BATCH) break
  }
  while ((await store.write('releaseContainers', { limit: PRUNE_BATCH })) === PRUNE_BATCH);
  await sweepOutbound(context)
  await sweepInbound(context)
}

/** Removes ciphertexts that no row needs and no stage is about to commit. */
async function sweepOutbound(context: BridgeContext): Promise<void> {
  const { outbound } = context.directories
  const files = (await readdir(outbound)).filter((name) => name.endsWith('.pgp'))
  const needed = new Set([...neededCiphertextFiles(context.store.read), ...context.freshCiphertexts])
  for (const name of files) {
    if (!needed.has(name)) await rm(join(outbound, name), { force: true })
  }
}

/** Removes blocks of messages that ended or went with their account; those of a quarantined one stay (design 8.3). */
async function sweepInbound(context: BridgeContext): Promise<void> {
  const { inbound } = context.directories
  for (const name of await readdir(inbound)) {
    const message = inboundMessage(context.store.read, Number(name))
    if (message === undefined || ENDED.has(message.state)) await removeDirectory(join(inbound, name))
  }
}

/** Nothing reads the blocks of these any more. */
const ENDED: ReadonlySet<InboundState> = new Set(['delivered', 'hidden', 'duplicate', 'expired'])

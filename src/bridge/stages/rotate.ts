import { duration } from '../../base/clock.ts'
import { readSecretKey } from '../../cm/openpgp/secret-keys.ts'
import { newestSubkeyMs } from '../../cm/openpgp/subkey-states.ts'
import type { DueWork } from '../../store/work-rows.ts'
import { type BridgeContext, requireAccount, requireSecretKey } from '../bridge-context.ts'
import { createKeyAdministration } from '../key-administration.ts'
import type { Stage } from '../worker.ts'

/** How often is looked whether it is time; settings change meanwhile. */
const LOOK_EVERY_MS = duration.day

/** Changes the account's encryption subkey when it is as old as its owner set it to become (CM message 10.5). */
export function createRotateStage(context: Pick<BridgeContext, 'store' | 'clock' | 'randomBytes'>): Stage {
  return async ({ accountId }) => {
    const { address, network } = requireAccount(context, accountId)
    if (network.rotateDays === 0) return { kind: 'repeat', delayMs: LOOK_EVERY_MS }
    const nowMs = context.clock.now()
    const read = await readSecretKey(requireSecretKey(context, accountId).reveal(), { nowMs })
    if (read.kind !== 'ok') return { kind: 'retry', reason: `the account's key cannot be used: ${read.kind}` }
    // A key without subkeys encrypts with the primary, which is as old as the key.
    const madeMs = (await newestSubkeyMs(read.secretKey)) ?? read.secretKey.certificate.createdMs
    const leftMs = madeMs + network.rotateDays * duration.day - nowMs
    if (leftMs > 0) return { kind: 'repeat', delayMs: Math.min(leftMs, LOOK_EVERY_MS) }
    const due: DueWork[] = []
    const keys = createKeyAdministration({ ...context, onDue: (rows) => due.push(...rows) })
    const outcome = await keys.rotate({ account: address, isForced: true })
    if (outcome.kind === 'refused') return { kind: 'retry', reason: outcome.reason, delayMs: LOOK_EVERY_MS }
    return { kind: 'repeat', delayMs: LOOK_EVERY_MS, due }
  }
}

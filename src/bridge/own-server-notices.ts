import { duration } from '../base/clock.ts'
import type { Account } from '../store/account-queries.ts'
import type { CmContext } from './bridge-context.ts'
import { draftNotice } from './inbound-notices.ts'

/** What the owner is told when the account's own servers fail it for long; shorter troubles stand in `status` alone. */

/** A day: servers are restarted, laptops travel. */
const LONG_MS = duration.day
/** And that many tries in a row: a computer that slept for a week has not tried. */
const LONG_FAILURES = 12

/** True when this has been failing for so long that its owner must hear of it. */
export function isLongBroken(
  nowMs: number,
  { sinceMs, failures }: { readonly sinceMs: number; readonly failures: number },
): boolean {
  return failures >= LONG_FAILURES && nowMs - sinceMs >= LONG_MS
}

/** One message into Notices for each time it began. */
export async function tellOwnServer(
  context: CmContext,
  account: Account,
  told: {
    readonly kind: 'own-key-not-announced' | 'own-mail-not-fetched'
    /** When it last worked. */
    readonly sinceMs: number
    readonly reason: string
  },
): Promise<void> {
  const notice = await draftNotice(context, account, {
    notice: { ...told, address: account.address },
    subject: new Date(told.sinceMs).toISOString(),
  })
  await context.store.write('deliverNotice', { accountId: account.id, notice })
}

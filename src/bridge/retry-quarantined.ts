import type { AccountId } from '../store/ids.ts'
import type { DueWork } from '../store/work-rows.ts'
import type { CmContext } from './bridge-context.ts'

/**
 * Tries everything again that an account could not read, after a key was imported: ciphertexts in quarantine are never
 * thrown away. Returns the rows to enqueue; without a running bridge the next start finds them.
 */
export function retryQuarantined(
  context: Pick<CmContext, 'store'>,
  accountId: AccountId,
): Promise<readonly DueWork[]> {
  return context.store.write('retryQuarantined', { accountId })
}

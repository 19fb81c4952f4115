import type { CommandParts } from './command.ts'
import type { CmServerContext } from './context.ts'
import type { CmAccountEntry } from './port.ts'

/** Changes of the accounts by ADDLOGIN, RMLOGIN, GENLOGIN and REPLOGIN (CM wire 7.3, 7.7). */

/** Keys made by one GENLOGIN; each is hashed for some 10 ms while the administrator waits. */
const MAX_GENERATED_KEYS = 500

export type AdminAction = 'addlogin' | 'rmlogin' | 'genlogin' | 'replogin'

/** Makes the change and returns the reply's lines. What an administrator changed is told to the peer, in order. */
export async function administer(
  action: AdminAction,
  parts: CommandParts,
  context: CmServerContext,
): Promise<readonly string[]> {
  const entries = entriesFor(action, parts, context)
  if (entries === undefined) return ['FAILED']
  try {
    // What came by REPLOGIN is not sent back (CM wire 9.3).
    await context.accounts.assign(entries, {
      tellPeer: action !== 'replogin' && context.relay?.hasPeer === true,
    })
  } catch (error) {
    context.log.error({ cause: error }, 'an account could not be changed')
    return ['FAILED']
  }
  return action === 'genlogin' ? [...entries.map(({ authKey }) => authKey), 'EndBlock'] : ['DONE']
}

function entriesFor(
  action: AdminAction,
  { userId = 'undefined', authKey = '', count }: CommandParts,
  { accounts }: CmServerContext,
): readonly CmAccountEntry[] | undefined {
  if (action === 'rmlogin') return [{ userId: 'disabled', authKey }]
  if (action !== 'genlogin') return [{ userId, authKey }]
  const wanted = Number(count)
  if (wanted > MAX_GENERATED_KEYS) return undefined
  return Array.from({ length: wanted }, () => ({ userId: 'undefined', authKey: accounts.newAuthKey() }))
}

import { duration } from '../../base/clock.ts'
import type { BuiltBlock } from '../../cm/build-announcements.ts'
import type { CmSession } from '../../cm/client/cm-session.ts'
import { type ServerAttempt, type ServerFailure, withServers } from '../../cm/client/with-servers.ts'
import { readSecretKey } from '../../cm/openpgp/secret-keys.ts'
import { loadAuthKey } from '../../store/account-queries.ts'
import {
  type BridgeContext,
  ownServers,
  ownServersRequest,
  requireAccount,
  requireSecretKey,
} from '../bridge-context.ts'
import { bypassTokenAccepted } from '../bypass-tokens.ts'
import { buildOwnAnnouncements } from '../own-announcement.ts'
import type { Stage } from '../worker.ts'

/** Claims expire at servers after ten days, keys after 31 (CM wire 4): announced weekly. */
const ANNOUNCE_EVERY_MS = 6 * duration.day
/** DONE is not proof (CM wire 7.6): what was posted is read back this often before the pass counts as failed. */
const READ_BACK_TRIES = 5
const READ_BACK_WAIT_MS = 500

/** Posts the account's key and address claim to its own servers and reads them back. */
export function createAnnounceStage(context: BridgeContext): Stage {
  return async ({ accountId, signal }) => {
    const account = requireAccount(context, accountId)
    if (account.servers.length === 0) return { kind: 'repeat', delayMs: ANNOUNCE_EVERY_MS }
    const nowMs = Math.floor(context.clock.now() / 1000) * 1000
    const read = await readSecretKey(requireSecretKey(context, accountId).reveal(), { nowMs })
    if (read.kind !== 'ok') return { kind: 'retry', reason: `the account's key cannot be used: ${read.kind}` }
    const blocks = await buildOwnAnnouncements(
      {
        secretKey: read.secretKey,
        address: account.address,
        transport: { kind: 'servers', servers: ownServers(account) },
        network: account.network,
        bypassTokenAccepted: bypassTokenAccepted(context, account, nowMs),
        nowMs,
      },
      { solver: context.solver, signal },
    )
    const left = new Set<BuiltBlock>(blocks)
    const outcome = await withServers(ownServersRequest(context, account), (session) =>
      postAll(context, session, left),
    )
    if (outcome.kind === 'done') {
      await context.store.write('recordAnnounced', { accountId })
      return { kind: 'repeat', delayMs: ANNOUNCE_EVERY_MS }
    }
    const hasAuthKey = loadAuthKey(context.store.read, accountId) !== undefined
    const reason = outcome.failures.map((failure) => explain(failure, hasAuthKey)).join('; ')
    return { kind: 'retry', reason }
  }
}

async function postAll(
  context: BridgeContext,
  session: CmSession,
  left: Set<BuiltBlock>,
): Promise<ServerAttempt<void>> {
  for (const block of left) {
    const reply = await session.storeText(block.key, block.text)
    if (reply.kind !== 'done') return { kind: 'next', reason: 'refused' }
    if (!(await isStored(context, session, block))) return { kind: 'next', reason: 'not-found' }
    left.delete(block)
  }
  return { kind: 'done', value: undefined }
}

/** The reference answers DONE first and stores later, or never. */
async function isStored(context: BridgeContext, session: CmSession, block: BuiltBlock): Promise<boolean> {
  for (let tries = 0; tries < READ_BACK_TRIES; tries += 1) {
    const reply = await session.getBlock(block.key)
    if (reply.kind === 'block' && reply.text.includes(block.text.trimEnd())) return true
    await new Promise<void>((resolve) => context.clock.after(READ_BACK_WAIT_MS, resolve))
  }
  return false
}

/** For people, in `status`: what the server did, and the cure where it is theirs to take. */
function explain({ hostPort, reason }: ServerFailure, hasAuthKey: boolean): string {
  switch (reason) {
    case 'login-refused':
      return `${hostPort} refused the authentication key: ask the owner of the server whether it is right`
    case 'certificate-changed':
      return `${hostPort} shows another certificate than before: "cmbridge cert accept ${hostPort}" if that is right`
    case 'not-found':
      return hasAuthKey
        ? `${hostPort} did not keep the key announcement`
        : `${hostPort} keeps keys of accounts only: remove the account and add it again with --auth-key`
    default:
      return `${hostPort} ${reason}`
  }
}

import { createHash } from 'node:crypto'
import { duration, sleep } from '../../base/clock.ts'
import type { BuiltBlock } from '../../cm/build-announcements.ts'
import type { CmSession } from '../../cm/client/cm-session.ts'
import { describeFailures } from '../../cm/client/describe-failures.ts'
import {
  type ServerAttempt,
  type ServerFailure,
  type ServersRequest,
  withServers,
} from '../../cm/client/with-servers.ts'
import { readSecretKey } from '../../cm/openpgp/secret-keys.ts'
import type { Account } from '../../store/account-queries.ts'
import type { AccountId } from '../../store/ids.ts'
import { pollTimes } from '../../store/inbound-queries.ts'
import { type AccountPlace, ANNOUNCE_PLACES, AUTH_KEY_FLAGS, placeRequest } from '../account-places.ts'
import { type BridgeContext, ownServers, requireAccount, requireSecretKey } from '../bridge-context.ts'
import { bypassTokenAccepted } from '../bypass-tokens.ts'
import { buildOwnAnnouncements } from '../own-announcement.ts'
import { isLongBroken, tellOwnServer } from '../own-server-notices.ts'
import { tellOwnRivals } from '../rivals.ts'
import type { Stage, StageContext } from '../worker.ts'

/** Claims expire at servers after ten days, keys after 31, and an announcement says seven (CM wire 3.1, 4). */
const ANNOUNCE_EVERY_MS = 6 * duration.day
/** DONE is not proof (CM wire 7.6): what was posted is read back this often before the pass counts as failed. */
const READ_BACK_TRIES = 5
const READ_BACK_WAIT_MS = 500
/** What is still missing then is made anew: a server may have refused the date, and a clock may have been set. */
const RENEW_AFTER_MS = 10 * duration.minute
/** Of two announcements of one second a server keeps the first (CM wire 2.2). */
const DATE_STEP_MS = duration.second

/** What is to be announced, and where it is seen already: a pass that failed in part repeats the rest alone. */
interface Pass {
  /** Of everything in the announcement but its dates: another one begins another pass. */
  readonly fingerprint: string
  readonly begunMs: number
  /** The Date of the blocks. */
  readonly builtMs: number
  readonly left: Readonly<Record<AccountPlace, Set<BuiltBlock>>>
}

/** Posts the account's key and address claim where it has mail or is looked for, and reads them back (CM wire 8.8). */
export function createAnnounceStage(context: BridgeContext): Stage {
  const passes = new Map<AccountId, Pass>()
  const lastBuilt = new Map<AccountId, number>()
  return async (stage) => {
    const { accountId } = stage
    const account = requireAccount(context, accountId)
    if (account.servers.length === 0) return { kind: 'repeat', delayMs: ANNOUNCE_EVERY_MS }
    const before = { begun: passes.get(accountId), lastBuiltMs: lastBuilt.get(accountId) }
    const pass = await currentPass(context, { account, stage, ...before })
    if (pass === 'too-soon') return { kind: 'repeat', delayMs: DATE_STEP_MS }
    if ('unusable' in pass) {
      return { kind: 'retry', reason: `the account's key cannot be used: ${pass.unusable}` }
    }
    passes.set(accountId, pass)
    lastBuilt.set(accountId, pass.builtMs)
    const complaints = await announce(context, account, pass)
    if (complaints.length === 0) {
      passes.delete(accountId)
      // Who is found beside us now is found by everybody who looks us up.
      await tellOwnRivals(context, account)
      return { kind: 'repeat', delayMs: ANNOUNCE_EVERY_MS }
    }
    const reason = complaints.join('; ')
    if (pass.left.own.size > 0) await tellWhenLong(context, account, { failures: stage.failures, reason })
    return { kind: 'retry', reason }
  }
}

interface PassParts {
  readonly account: Account
  readonly stage: StageContext
  readonly begun: Pass | undefined
  readonly lastBuiltMs: number | undefined
}

/** The pass that is under way, with new blocks when those are old; a new pass when the settings changed or it is time. */
async function currentPass(
  context: BridgeContext,
  { account, stage, begun, lastBuiltMs }: PassParts,
): Promise<Pass | 'too-soon' | { readonly unusable: string }> {
  const nowMs = Math.floor(context.clock.now() / DATE_STEP_MS) * DATE_STEP_MS
  const secretKey = requireSecretKey(context, account.id)
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([account.servers, account.network]))
    .update(secretKey.reveal())
    .digest('hex')
  const isSame = begun?.fingerprint === fingerprint && nowMs - begun.begunMs < ANNOUNCE_EVERY_MS
  if (isSame && nowMs - begun.builtMs < RENEW_AFTER_MS) return begun
  if (lastBuiltMs === nowMs) return 'too-soon'
  const read = await readSecretKey(secretKey.reveal(), { nowMs })
  if (read.kind !== 'ok') return { unusable: read.kind }
  const identity = {
    secretKey: read.secretKey,
    address: account.address,
    transport: { kind: 'servers', servers: ownServers(account) },
    network: account.network,
    bypassTokenAccepted: bypassTokenAccepted(context, account, nowMs),
    nowMs,
  } as const
  const blocks = await buildOwnAnnouncements(identity, { solver: context.solver, signal: stage.signal })
  const leftAt = (place: AccountPlace) => new Set(isSame && begun.left[place].size === 0 ? [] : blocks)
  const left = { own: leftAt('own'), old: leftAt('old'), publish: leftAt('publish') }
  return { fingerprint, begunMs: isSame ? begun.begunMs : nowMs, builtMs: nowMs, left }
}

/** Posts what is left at each place, own servers first; returns for people what did not work. */
async function announce(context: BridgeContext, account: Account, pass: Pass): Promise<string[]> {
  const complaints: string[] = []
  for (const place of ANNOUNCE_PLACES) {
    const request = placeRequest(context, account, place)
    const left = pass.left[place]
    if (request === undefined || left.size === 0) continue
    const outcome = await withServers(request, (session) => postAll(context, session, left))
    if (outcome.kind === 'all-failed') complaints.push(complaintOf(place, request, outcome.failures))
    else if (place === 'own') await context.store.write('recordAnnounced', { accountId: account.id })
  }
  return complaints
}

/** A block that is refused does not stop the other (CM wire 8.8). */
async function postAll(
  context: BridgeContext,
  session: CmSession,
  left: Set<BuiltBlock>,
): Promise<ServerAttempt<void>> {
  let reason: ServerFailure['reason'] | undefined
  for (const block of left) {
    const reply = await session.storeText(block.key, block.text)
    if (reply.kind !== 'done') reason = 'refused'
    else if (await isStored(context, session, block)) left.delete(block)
    else reason ??= 'not-found'
  }
  return reason === undefined ? { kind: 'done', value: undefined } : { kind: 'next', reason }
}

/** The reference answers DONE first and stores later, or never. */
async function isStored(context: BridgeContext, session: CmSession, block: BuiltBlock): Promise<boolean> {
  for (let tries = 0; tries < READ_BACK_TRIES; tries += 1) {
    const reply = await session.getBlock(block.key)
    if (reply.kind === 'block' && reply.text.includes(block.text.trimEnd())) return true
    await sleep(context.clock, READ_BACK_WAIT_MS)
  }
  return false
}

const PLACE_NAMES: Readonly<Record<AccountPlace, string>> = {
  own: '',
  old: 'old server: ',
  publish: 'publishing server: ',
}

function complaintOf(
  place: AccountPlace,
  { login }: ServersRequest,
  failures: readonly ServerFailure[],
): string {
  const texts = failures.map((failure) => explain(failure, { hasAuthKey: login !== undefined, place }))
  return `${PLACE_NAMES[place]}${texts.join(', ')}`
}

/** For people, in `status`: what the server did, and the cure where it is theirs to take. */
function explain(
  failure: ServerFailure,
  { hasAuthKey, place }: { readonly hasAuthKey: boolean; readonly place: AccountPlace },
): string {
  const { hostPort } = failure
  switch (failure.reason) {
    case 'certificate-changed':
      return `${hostPort} shows another certificate than before: "cmbridge cert accept ${hostPort}" if that is right`
    case 'not-found':
      return hasAuthKey
        ? `${hostPort} did not keep the key announcement`
        : `${hostPort} keeps keys of accounts only: give its key with "cmbridge account set … ${AUTH_KEY_FLAGS[place]} KEY"`
    default:
      return describeFailures([failure])
  }
}

/** Without its key at a server an account is lost for whoever does not know it yet: its owner is told. */
async function tellWhenLong(
  context: BridgeContext,
  account: Account,
  { failures, reason }: { readonly failures: number; readonly reason: string },
): Promise<void> {
  const sinceMs = pollTimes(context.store.read, account.id).announcedMs ?? account.createdAtMs
  if (!isLongBroken(context.clock.now(), { sinceMs, failures })) return
  await tellOwnServer(context, account, { kind: 'own-key-not-announced', sinceMs, reason })
}

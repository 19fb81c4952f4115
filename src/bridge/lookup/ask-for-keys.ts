import { sleep } from '../../base/clock.ts'
import { addressLookupKeys } from '../../cm/address.ts'
import { parseAddressClaims } from '../../cm/address-claim.ts'
import type { CmSession } from '../../cm/client/cm-session.ts'
import { describeFailures } from '../../cm/client/describe-failures.ts'
import { type ServerAttempt, type ServersRequest, withServers } from '../../cm/client/with-servers.ts'
import { type BlockKey, type KeyId, keyAnnouncementKey } from '../../cm/ids.ts'
import { exactSpellings, isSameAddress } from '../../mail/address.ts'
import type { CmContext } from '../bridge-context.ts'
import { type AnnouncedKey, readAnnouncedKey } from './read-announced-key.ts'
import { repeatedHeader } from './repeated-header.ts'

/** Asks one list of CM servers about an address and about keys, with our own checks (CM wire 8.9, design 9). */

/** Keys that may claim one address: each costs a fetch and a verification. With more, none is taken. */
const MAX_CLAIMS = 16
/** Characters of the claims of one address that are looked through, on this thread: so many keys have a hundredth. */
const MAX_CLAIMS_LENGTH = 1024 * 1024
/** A lone EndBlock means that the server writes it just now (CM wire 9.1): asked again so often, after so long. */
const NOT_YET_TRIES = 3
const NOT_YET_WAIT_MS = 100

/** What the look-up needs of the bridge. */
export type LookupContext = Pick<CmContext, 'store' | 'clock' | 'random' | 'pool' | 'cm' | 'privateServers'>

/** What a list of servers is asked: about an address, about keys, or both. */
export interface Question {
  /** Who claims this address? */
  readonly address: string | undefined
  /** And what is announced for these keys? */
  readonly keyIds: readonly KeyId[]
}

/** One key as one server has it. */
export interface Finding {
  readonly hostPort: string
  /** Whether that server's certificate is valid for a host under the authorities. */
  readonly isTrustedFor: (host: string) => boolean
  readonly key: AnnouncedKey
}

interface Asking {
  readonly context: Pick<LookupContext, 'clock' | 'pool'>
  readonly question: Question
  /** Grows while servers answer, so that what came in time is there when the time is up. */
  readonly findings: Finding[]
  readonly signal: AbortSignal
}

/**
 * Asks the servers of the request one after the other until one has a usable key: a server without it passes the
 * question on, unlike the reference's. Undefined when one of them answered; else why none could be asked.
 */
export async function askForKeys(request: ServersRequest, asking: Asking): Promise<string | undefined> {
  const { signal } = asking
  const outcome = await withServers({ ...request, signal }, async (session): Promise<ServerAttempt<void>> => {
    if (signal.aborted) return { kind: 'done', value: undefined }
    const answer = await askSession(asking, session)
    if (answer === 'found') return { kind: 'done', value: undefined }
    return { kind: 'next', reason: answer === 'nothing' ? 'not-found' : 'refused' }
  })
  if (outcome.kind === 'done' || outcome.failures.some(({ reason }) => reason === 'not-found')) {
    return undefined
  }
  return describeFailures(outcome.failures)
}

/** Every hash an address may be claimed under: both spellings of its domain, both kinds of lower case (case S19). */
function claimKeys(address: string): readonly BlockKey[] {
  return [...new Set(exactSpellings(address).flatMap(addressLookupKeys))]
}

async function askSession(asking: Asking, session: CmSession): Promise<'found' | 'nothing' | 'refused'> {
  const before = asking.findings.length
  const { address, keyIds } = asking.question
  let refused = false
  for (const keyId of keyIds) {
    const key = await fetchKey(asking, session, keyId)
    if (key === 'refused') refused = true
    else if (key !== undefined) addFinding(asking, session, key)
  }
  for (const key of address === undefined ? [] : claimKeys(address)) {
    const text = await getClaims(asking, session, key)
    if (text === 'refused') refused = true
    else if (text !== undefined) await addClaimants({ ...asking, session, address: address ?? '' }, key, text)
  }
  const isFound = asking.findings.slice(before).some(({ key }) => key.kind === 'usable')
  if (isFound) return 'found'
  return refused ? 'refused' : 'nothing'
}

function addFinding({ findings }: Asking, session: CmSession, key: AnnouncedKey): void {
  const { hostPort, isTrustedFor } = session
  findings.push({ hostPort, isTrustedFor, key })
}

interface Claims extends Asking {
  readonly session: CmSession
  readonly address: string
}

async function addClaimants(asking: Claims, key: BlockKey, text: string): Promise<void> {
  const { session, address } = asking
  const claimants = await claimantsOf(asking, key, text)
  const [first] = claimants
  if (first === undefined) return
  if (claimants.size > MAX_CLAIMS) {
    // The right key may lie behind a stranger's many claims: what could be found before it is no answer.
    const reason = `more than ${MAX_CLAIMS} keys claim the address`
    const unusable = { keyId: first, reason, isKeysFault: false }
    addFinding(asking, session, { kind: 'unusable', unusable, announcedMs: 0, addresses: undefined })
    return
  }
  const keys = new Map<KeyId, AnnouncedKey>()
  for (const keyId of claimants) {
    const fetched = await fetchKey(asking, session, keyId)
    if (fetched !== undefined && fetched !== 'refused') keys.set(keyId, fetched)
  }
  const proved = await provedClaims(asking, { key, text, keys })
  for (const [keyId, announced] of keys) {
    if (!mayCarry(announced, address)) continue
    if (announced.kind === 'unusable' || proved.has(keyId)) addFinding(asking, session, announced)
  }
}

/** A key that cannot be read may carry any address: its reason is worth telling. */
function mayCarry(key: AnnouncedKey, address: string): boolean {
  const addresses = key.kind === 'usable' ? key.contact.addresses : key.addresses
  return addresses === undefined || addresses.some((one) => isSameAddress(one, address))
}

/** Keys named by signed claims; when they are many, only those whose claim cost somebody its work (CM wire S7). */
async function claimantsOf(
  { context }: Pick<Asking, 'context'>,
  key: BlockKey,
  text: string,
): Promise<ReadonlySet<KeyId>> {
  const records = parseAddressClaims(text) ?? []
  const ids = new Set(
    records.flatMap((record) =>
      record.kind === 'signed' &&
      record.claim.keyId !== undefined &&
      repeatedHeader(record.signed.lines) === undefined
        ? [record.claim.keyId]
        : [],
    ),
  )
  if (ids.size <= MAX_CLAIMS) return ids
  const { records: judged } = await context.pool.run('validateBlock', claimBlock(context, key, text))
  return new Set(
    judged.flatMap(({ reason, keyId }) => (reason === undefined && keyId !== undefined ? [keyId] : [])),
  )
}

/** The keys whose claim in the block is their own: signed by them, worked for, of this address and not too old. */
async function provedClaims(
  { context }: Pick<Asking, 'context'>,
  claims: { readonly key: BlockKey; readonly text: string; readonly keys: ReadonlyMap<KeyId, AnnouncedKey> },
): Promise<ReadonlySet<KeyId | undefined>> {
  const publicKeys: Record<KeyId, string> = {}
  for (const [keyId, key] of claims.keys) if (key.kind === 'usable') publicKeys[keyId] = key.armored
  const verdict = await context.pool.run('validateBlock', {
    ...claimBlock(context, claims.key, claims.text),
    publicKeys,
  })
  const good = verdict.records.filter(({ reason, signature }) => reason === undefined && signature === 'good')
  return new Set(good.map(({ keyId }) => keyId))
}

function claimBlock({ clock }: Pick<LookupContext, 'clock'>, key: BlockKey, text: string) {
  return { network: 'server', nowMs: clock.now(), key, type: 'address-claim', text } as const
}

/** One key announcement, verified in memory; undefined when the server has none or lies about it. */
async function fetchKey(
  asking: Pick<Asking, 'context'>,
  session: CmSession,
  keyId: KeyId,
): Promise<AnnouncedKey | 'refused' | undefined> {
  const text = await getText(asking, session, keyAnnouncementKey(keyId))
  if (text === undefined || text === 'refused') return text
  const { clock, pool } = asking.context
  return readAnnouncedKey(pool, { keyId, text, nowMs: clock.now() })
}

async function getClaims(
  asking: Asking,
  session: CmSession,
  key: BlockKey,
): Promise<string | 'refused' | undefined> {
  const text = await getText(asking, session, key)
  return text !== undefined && text.length > MAX_CLAIMS_LENGTH ? 'refused' : text
}

async function getText(
  { context }: Pick<Asking, 'context'>,
  session: CmSession,
  key: BlockKey,
): Promise<string | 'refused' | undefined> {
  for (let tries = 1; ; tries += 1) {
    const reply = await session.getBlock(key)
    switch (reply.kind) {
      case 'block':
        return reply.text
      case 'not-found':
        return undefined
      case 'refused':
        return 'refused'
      case 'not-yet': {
        if (tries >= NOT_YET_TRIES) return 'refused'
        await sleep(context.clock, NOT_YET_WAIT_MS)
      }
    }
  }
}

import { addressLookupKeys } from '../cm/address.ts'
import { parseAddressClaims } from '../cm/address-claim.ts'
import { certificateAddresses } from '../cm/certificate.ts'
import type { CmSession } from '../cm/client/cm-session.ts'
import { type ServerAttempt, type ServersRequest, withServers } from '../cm/client/with-servers.ts'
import { type BlockKey, type KeyId, keyAnnouncementKey } from '../cm/ids.ts'
import type { ServerAddress } from '../cm/transport.ts'
import { addressSpellings, isSameAddress } from '../mail/address.ts'
import type { ContactRecord } from '../store/contact-operations.ts'
import type { AccountId } from '../store/ids.ts'
import {
  type CmContext,
  namedServersRequest,
  ownServers,
  requireAccount,
  serversOfTransport,
} from './bridge-context.ts'
import type { KeyLookup, LookupOutcome, UnusableKey } from './key-lookup.ts'

/**
 * Key search at CM servers with our checks (CM wire 8.9, design 9): the claim is signed by the key it names, the
 * fingerprint is the one asked for, and the key really carries the address. Nothing is stored here.
 */

/** Keys that may claim one address: each costs a fetch and a verification. With more, none is taken. */
const MAX_CLAIMS = 16

/** Proof of work of a key that is only read is not asked for (CM wire 8.9). */
const NO_DEMAND = { bits: 0, matches: 0 }

export function createCmKeyLookup(context: CmContext): KeyLookup {
  return {
    async byAddress(accountId, address, signal) {
      const servers = askedServers(context, accountId)
      return race(signal, () => findByAddress(context, servers, address))
    },
    async byKeyId(accountId, keyId, { hints, signal }) {
      const lists = [askedServers(context, accountId), ...hints.map(serversOfTransport)].filter(
        (servers) => servers.length > 0,
      )
      return race(signal, () => findByKeyId(context, lists, keyId))
    },
  }
}

/** The account's own servers, unless the settings keep look-ups from them (`lookup.ownServers`, design 9). */
function askedServers(context: CmContext, accountId: AccountId): readonly ServerAddress[] {
  return context.asksOwnServers ? ownServers(requireAccount(context, accountId)) : []
}

/** Answers `unreachable` when the time is up; the look-up then ends by its own time-outs. */
async function race(signal: AbortSignal, find: () => Promise<LookupOutcome>): Promise<LookupOutcome> {
  const timeUp: LookupOutcome = { kind: 'unreachable', reason: 'no answer in time', found: [] }
  if (signal.aborted) return timeUp
  const { promise, resolve } = Promise.withResolvers<LookupOutcome>()
  const onAbort = (): void => resolve(timeUp)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([find(), promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

interface Found {
  readonly found: ContactRecord[]
  readonly unusable: UnusableKey[]
}

async function findByAddress(
  context: CmContext,
  servers: readonly ServerAddress[],
  address: string,
): Promise<LookupOutcome> {
  const keys = [...new Set(addressSpellings(address).flatMap(addressLookupKeys))]
  return ask(context, servers, async (session) => {
    const result: Found = { found: [], unusable: [] }
    for (const key of keys) await collectClaims({ context, session, address, result }, key)
    return result
  })
}

interface Collecting {
  readonly context: CmContext
  readonly session: CmSession
  readonly address: string
  readonly result: Found
}

async function collectClaims(collecting: Collecting, key: BlockKey): Promise<void> {
  const { context, session, address, result } = collecting
  const reply = await session.getBlock(key)
  if (reply.kind !== 'block') return
  const claims = parseAddressClaims(reply.text) ?? []
  const ids = new Set(claims.flatMap((record) => (record.kind === 'signed' ? [record.claim.keyId] : [])))
  ids.delete(undefined)
  const [first] = ids
  if (first !== undefined && ids.size > MAX_CLAIMS) {
    // The right key may lie behind a stranger's many claims: what could be found before it is no answer.
    result.unusable.push({ keyId: first, reason: `more than ${MAX_CLAIMS} keys claim the address` })
    return
  }
  for (const keyId of ids) {
    if (keyId === undefined) continue
    const fetched = await fetchKey(context, session, keyId)
    if (fetched === undefined) continue
    if ('reason' in fetched) {
      result.unusable.push(fetched)
    } else if (
      fetched.contact.addresses.some((one) => isSameAddress(one, address)) &&
      (await isClaimGood(context, { key, text: reply.text, keyId, armored: fetched.armored }))
    ) {
      result.found.push(fetched.contact)
    }
  }
}

async function isClaimGood(
  context: CmContext,
  claim: { readonly key: BlockKey; readonly text: string; readonly keyId: KeyId; readonly armored: string },
): Promise<boolean> {
  const verdict = await context.pool.run('validateBlock', {
    network: 'server',
    nowMs: context.clock.now(),
    key: claim.key,
    type: 'address-claim',
    text: claim.text,
    publicKeys: { [claim.keyId]: claim.armored },
  })
  return verdict.records.some(
    (record) => record.keyId === claim.keyId && record.reason === undefined && record.signature === 'good',
  )
}

async function findByKeyId(
  context: CmContext,
  lists: readonly (readonly ServerAddress[])[],
  keyId: KeyId,
): Promise<LookupOutcome> {
  let unreachable: LookupOutcome | undefined
  for (const servers of lists) {
    const outcome = await ask(context, servers, async (session) => {
      const fetched = await fetchKey(context, session, keyId)
      if (fetched === undefined) return { found: [], unusable: [] }
      return 'reason' in fetched
        ? { found: [], unusable: [fetched] }
        : { found: [fetched.contact], unusable: [] }
    })
    if (outcome.kind === 'unreachable') unreachable = outcome
    else if (outcome.found.length > 0 || outcome.unusable.length > 0) return outcome
  }
  return unreachable ?? { kind: 'answered', found: [], unusable: [] }
}

/** One key announcement, verified in memory; undefined when the server has none or lies about it. */
async function fetchKey(
  context: CmContext,
  session: CmSession,
  keyId: KeyId,
): Promise<{ readonly contact: ContactRecord; readonly armored: string } | UnusableKey | undefined> {
  const reply = await session.getBlock(keyAnnouncementKey(keyId))
  if (reply.kind !== 'block') return undefined
  const nowMs = context.clock.now()
  const verified = await context.pool.run('verifyKeyAnnouncement', {
    text: reply.text,
    nowMs,
    demand: NO_DEMAND,
  })
  if (verified.kind !== 'ok') return { keyId, reason: `its announcement is not valid (${verified.reason})` }
  const { announcement, certificate } = verified
  // The reference files whatever came under its own fingerprint (CM wire S15); we take only what was asked for.
  if (certificate.keyId !== keyId) return undefined
  if (certificate.canEncrypt.kind === 'no')
    return { keyId, reason: `the key is ${certificate.canEncrypt.reason}` }
  if (certificate.primaryUserId === undefined) return { keyId, reason: 'the key has no valid user id' }
  const contact: ContactRecord = {
    keyId,
    userId: certificate.primaryUserId,
    addresses: certificateAddresses(certificate).map((address) => address.toLowerCase()),
    announcement: reply.text,
    announcedMs: announcement.dateMs,
  }
  return { contact, armored: certificate.armored }
}

async function ask(
  context: CmContext,
  servers: readonly ServerAddress[],
  find: (session: CmSession) => Promise<Found>,
): Promise<LookupOutcome> {
  const request: ServersRequest = namedServersRequest(context, servers)
  const outcome = await withServers(
    request,
    async (session): Promise<ServerAttempt<Found>> => ({ kind: 'done', value: await find(session) }),
  )
  if (outcome.kind === 'done') return { kind: 'answered', ...outcome.value }
  const reasons = outcome.failures.map(({ hostPort, reason }) => `${hostPort}: ${reason}`)
  return { kind: 'unreachable', reason: reasons.join('; ') || 'no server to ask', found: [] }
}

import {
  BYPASS_CLOCK_SLACK_MS,
  bypassToken,
  chooseBypassSecret,
  findBypassSecret,
} from '../cm/bypass-token.ts'
import type { KeyId } from '../cm/ids.ts'
import type { BypassGrant } from '../cm/message/ack-file.ts'
import { announcementProofInput, type MessageAnnouncement } from '../cm/message-announcement.ts'
import { measureProofOfWork, meetsDemand, type ProofOfWorkStrength } from '../cm/proof-of-work.ts'
import { formatUtcTime } from '../cm/utc-time.ts'
import type { Account } from '../store/account-queries.ts'
import type { IssuedBypassSecret } from '../store/bypass-operations.ts'
import {
  bypassSecrets,
  isBypassSecretInDoubt,
  oldestIssuedDate,
  type StoredBypassSecret,
  settledIssuedSecret,
} from '../store/bypass-queries.ts'
import type { AccountId } from '../store/ids.ts'
import type { BridgeContext } from './bridge-context.ts'

/**
 * Bypass tokens both ways (CM wire 6, message 4.4): who is given one, which one we use, and which of ours stands for the
 * work of an announcement. What the reference does with them, and why ours are never changed, is in
 * `docs/decisions/0007-bypass-tokens.md`.
 */

/** Our tokens begin that long before they are made: a reference client uses none that lies ahead of its local clock. */
const BACK_DATED_MS = BYPASS_CLOCK_SLACK_MS
const BYPASS_SECRET_BYTES = 20
/** HMACs one pass over the mailboxes may make, about 3 µs each: a flood of made-up tokens costs a second. */
const MAX_TOKEN_CHECKS = 300_000

type Reading = Pick<BridgeContext, 'store'>

function newTokenDate(nowMs: number): string {
  return formatUtcTime(nowMs - BACK_DATED_MS)
}

/**
 * `BypassTokenAccepted` of the account's announcement: the begin of its oldest token, or of one that would be issued now,
 * so that it stays true while the announcement lives. Undefined when the account takes no tokens.
 */
export function bypassTokenAccepted(context: Reading, account: Account, nowMs: number): string | undefined {
  if (!account.network.usesBypassTokens) return undefined
  const wouldBe = newTokenDate(nowMs)
  const oldest = oldestIssuedDate(context.store.read, account.id)
  return oldest !== undefined && oldest < wouldBe ? oldest : wouldBe
}

/** How an announcement meets the demand: by work, by a token issued to `keyId`, or not. */
export type WorkAnswer =
  | { readonly kind: 'enough' | 'too-little' }
  | { readonly kind: 'token'; readonly keyId: KeyId }

/** Says how an announcement meets `demand`; for one pass, whose tokens and time it holds. */
export type WorkJudge = (announcement: MessageAnnouncement, demand: ProofOfWorkStrength) => WorkAnswer

/**
 * Judges the work of announcements, for one pass over an account's mailboxes. A token replaces the account's demand, not
 * the server's floor; that its key also signed the message can only be seen when it is open.
 */
export function createWorkJudge(context: Reading, account: Account, nowMs: number): WorkJudge {
  let secrets: readonly StoredBypassSecret[] | undefined
  let checksLeft = MAX_TOKEN_CHECKS
  return (announcement, demand) => {
    const proofInput = announcementProofInput(announcement)
    const shown = measureProofOfWork(announcement.proofOfWork ?? '', proofInput)
    if (meetsDemand(shown, demand)) return { kind: 'enough' }
    const { bypassToken: token } = announcement
    const isTaken = token !== undefined && account.network.usesBypassTokens && shown.matches >= 0
    if (!isTaken || checksLeft <= 0) return { kind: 'too-little' }
    secrets ??= bypassSecrets(context.store.read, account.id, { direction: 'issued' })
    checksLeft -= secrets.length
    const found = findBypassSecret(token, proofInput, {
      secrets,
      nowMs,
      slackMs: BYPASS_CLOCK_SLACK_MS,
    })
    return found === undefined ? { kind: 'too-little' } : { kind: 'token', keyId: found.keyId }
  }
}

/** A recipient as its current announcement has it. */
export interface TokenRecipient {
  readonly keyId: KeyId
  /** Its `BypassTokenAccepted`; undefined: it takes no tokens. */
  readonly accepted: string | undefined
}

/**
 * The received secret to announce mail to this recipient with; undefined when it takes none we have, or when mail sent
 * with it was not acknowledged for a day: then the full work is done until it is confirmed (CM wire 6).
 */
export function chooseReceivedSecret(
  context: Pick<BridgeContext, 'store' | 'clock'>,
  accountId: AccountId,
  recipient: TokenRecipient,
): StoredBypassSecret | undefined {
  const { read } = context.store
  const nowMs = context.clock.now()
  const { keyId } = recipient
  const received = bypassSecrets(read, accountId, { direction: 'received', keyId })
  const usable = received.filter(({ id }) => !isBypassSecretInDoubt(read, id, { nowMs }))
  const chosen = chooseBypassSecret(usable, recipient, nowMs)
  return usable.find((one) => one === chosen)
}

/** Value of the `BypassToken` header for one announcement. */
export function tokenFor(
  secret: StoredBypassSecret,
  announcement: Parameters<typeof announcementProofInput>[0],
): string {
  return bypassToken(secret.secret, announcementProofInput(announcement))
}

/**
 * The tokens that go into the ACK files of these recipients, durable before this resolves. Nobody gets one whose own
 * announcement shows no interest, as in the reference.
 */
export async function issueBypassGrants(
  context: Pick<BridgeContext, 'store' | 'clock' | 'randomBytes'>,
  account: Account,
  recipients: readonly TokenRecipient[],
): Promise<ReadonlyMap<KeyId, BypassGrant>> {
  const keyIds = new Set(recipients.flatMap(({ keyId, accepted }) => (accepted === undefined ? [] : [keyId])))
  if (!account.network.usesBypassTokens || keyIds.size === 0) return new Map()
  const nowMs = context.clock.now()
  const now = formatUtcTime(nowMs)
  const settled = [...keyIds].map((keyId) =>
    settledIssuedSecret(context.store.read, account.id, { keyId, now }),
  )
  const issued = settled.filter((secret) => secret !== undefined)
  const known = new Set(issued.map(({ keyId }) => keyId))
  const wanted = [...keyIds].filter((keyId) => !known.has(keyId))
  return new Map([...issued, ...(await issue(context, account.id, { wanted, nowMs }))].map(toGrant))
}

function toGrant({ keyId, secret, created, expires }: IssuedBypassSecret): [KeyId, BypassGrant] {
  return [keyId, { secret, created, expires }]
}

/** A write is a wait for the disk: only for keys that need one. */
async function issue(
  { store, randomBytes }: Pick<BridgeContext, 'store' | 'randomBytes'>,
  accountId: AccountId,
  { wanted, nowMs }: { readonly wanted: readonly KeyId[]; readonly nowMs: number },
): Promise<readonly IssuedBypassSecret[]> {
  if (wanted.length === 0) return []
  return store.write('issueBypassSecrets', {
    accountId,
    wanted: wanted.map((keyId) => ({ keyId, secret: randomBytes(BYPASS_SECRET_BYTES) })),
    created: newTokenDate(nowMs),
    now: formatUtcTime(nowMs),
  })
}

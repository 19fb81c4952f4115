import { createHash } from 'node:crypto'
import { duration } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import type { KeyId } from '../cm/ids.ts'
import { parseKeyAnnouncement } from '../cm/key-announcement.ts'
import type { BypassGrant } from '../cm/message/ack-file.ts'
import type { OpenedMessage } from '../cm/message/decode-message.ts'
import { type Disposition, decideDisposition, type WorkResult } from '../cm/message/disposition.ts'
import { type JudgedMessage, judgeMessage } from '../cm/message/judge-message.ts'
import { isSameAddress } from '../mail/address.ts'
import type { Account } from '../store/account-queries.ts'
import type { ContactRecord, StoredTrust } from '../store/contact-operations.ts'
import {
  addressesOfKey,
  contactByKeyId,
  contactsByKeySuffix,
  type StoredContact,
  vouchedAddresses,
} from '../store/contact-queries.ts'
import type { InboundMessage } from '../store/inbound-queries.ts'
import type { BridgeContext } from './bridge-context.ts'
import type { UnusableKey } from './key-lookup.ts'
import type { IncomingVerdict } from './render/incoming-headers.ts'
import { timed } from './timed.ts'
import { contactsOf, ownTrust, trustWord } from './trust.ts'

/** Who wrote an inbound message, how far the key is trusted, and where the message goes (design 8.4, 8.5, 8.8, 9). */

/** The sender's key as far as it is known now. */
export interface Sender {
  readonly keyId: KeyId
  readonly userId: string
  readonly addresses: readonly string[]
  readonly announcement: string
  /** Date of the announcement, milliseconds. */
  readonly announcedMs: number
  readonly firstSeenMs: number
  /** Its owner revoked it: this armored certificate says so. */
  readonly revokedCertificate?: string
}

export interface JudgedInbound {
  readonly opened: OpenedMessage
  readonly sender: Sender | undefined
  readonly verdict: IncomingVerdict
  readonly disposition: Disposition
  readonly acknowledgmentSecret: Secret<Uint8Array> | undefined
  /** The signer's own, never that of the From line (CM message 14.3). */
  readonly bypassGrant: Secret<BypassGrant> | undefined
  /** Keys found on the way; they enter the store with the message. */
  readonly contacts: readonly ContactRecord[]
  /** Equal for the same message announced twice; null for what did not verify. */
  readonly fingerprint: string | null
}

export type JudgeOutcome =
  | { readonly kind: 'judged'; readonly judged: JudgedInbound; readonly heldUntilMs: number | undefined }
  /** No key for the From line yet; `judged` is what it is without. */
  | { readonly kind: 'sender-unknown'; readonly reason: string; readonly judged: JudgedInbound }

/** What judging needs of the bridge. */
type JudgingContext = Pick<BridgeContext, 'store' | 'clock' | 'pool' | 'lookup'>

interface Given {
  /** Undefined for the original inside a signed forward, which nobody announced to us. */
  readonly message: InboundMessage | undefined
  readonly account: Account
  readonly opened: OpenedMessage
}

/** Looking for the sender's key and for rivals of it. */
const LOOKUP_TIME_MS = 30 * duration.second
/** One source of rivals: a contact whose own server is dead must not have their mail held up. */
const RIVAL_SOURCE_MS = 5 * duration.second
/** Rivals looked up so long ago are not looked up again: mail that comes in a row, which is most of it, waits once. */
const RIVALS_KNOWN_FOR_MS = duration.minute
/** Hashing the largest archive on a slow machine. */
const VERIFY_TIME_MS = duration.hour

export async function judgeInbound(context: JudgingContext, given: Given): Promise<JudgeOutcome> {
  const found = await findSender(context, given)
  const rivals =
    found.sender === undefined ? NO_RIVALS : await findRivals(context, given.account, found.sender)
  const contacts = [...found.contacts, ...rivals.contacts]
  const sender = withRevocation(newest(found.sender, contacts), rivals.unusable)
  const judgment = await judgeMessage(given.opened, {
    owner: given.account.keyId,
    certificates: certificatesOf(context, given, sender),
    nowMs: context.clock.now(),
    verify: (given) => context.pool.run('verifyDetachedFile', given, { timeLimitMs: VERIFY_TIME_MS }),
  })
  const judged = combine(context, given, {
    ...found,
    sender,
    contacts,
    judgment,
    collidingKeys: rivals.keyIds,
  })
  const isHopeless = found.keyProblem?.isKeysFault === true
  if (found.sender === undefined && !isHopeless) {
    return { kind: 'sender-unknown', reason: found.reason, judged }
  }
  return { kind: 'judged', judged, heldUntilMs: judgment.verdict.heldUntilMs }
}

/**
 * The verdict on the original inside a signed forward (CM message 6): it has a signer, a date and rivals of its own; to
 * whom it was written and with what work does not matter here.
 */
export async function judgeForwarded(
  context: JudgingContext,
  given: Omit<Given, 'message'>,
): Promise<Pick<JudgedInbound, 'verdict' | 'sender'>> {
  return (await judgeInbound(context, { ...given, message: undefined })).judged
}

/** The sender as just announced: a signature may be by a subkey that is newer than what we knew. */
function newest(sender: Sender | undefined, contacts: readonly ContactRecord[]): Sender | undefined {
  const fresh = contacts.find(({ keyId }) => keyId === sender?.keyId)
  if (sender === undefined || fresh === undefined || fresh.announcedMs < sender.announcedMs) return sender
  return { ...fresh, firstSeenMs: sender.firstSeenMs }
}

/** A key that was revoked meanwhile signs nothing any more, although what we keep of it does not say so yet. */
function withRevocation(sender: Sender | undefined, unusable: readonly UnusableKey[]): Sender | undefined {
  const revoked = unusable.find(({ keyId }) => keyId === sender?.keyId)?.revokedCertificate
  return sender === undefined || revoked === undefined ? sender : { ...sender, revokedCertificate: revoked }
}

interface FoundSender {
  readonly sender: Sender | undefined
  /** Its key was found and cannot be used. */
  readonly keyProblem?: UnusableKey | undefined
  readonly contacts: readonly ContactRecord[]
  readonly reason: string
}

async function findSender(context: JudgingContext, { account, opened }: Given): Promise<FoundSender> {
  const { keyId } = opened.header.from
  const known = contactByKeyId(context.store.read, account.id, keyId)
  if (known !== undefined) {
    const addresses = addressesOfKey(context.store.read, account.id, keyId) ?? []
    return { sender: { ...known, addresses }, contacts: [], reason: '' }
  }
  const hint = opened.header.keyTransports.get(keyId)
  const outcome = await timed(context.clock, LOOKUP_TIME_MS, (signal) =>
    context.lookup.byKeyId(account.id, keyId, { hints: hint === undefined ? [] : [hint], signal }),
  )
  const [contact] = outcome.found
  if (contact !== undefined) {
    return { sender: { ...contact, firstSeenMs: context.clock.now() }, contacts: [contact], reason: '' }
  }
  const keyProblem = outcome.unusable[0]
  const reason = outcome.kind === 'unreachable' ? outcome.reason : 'the key of the sender is not announced'
  return { sender: undefined, contacts: [], reason: keyProblem?.reason ?? reason, keyProblem }
}

interface Rivals {
  readonly keyIds: readonly KeyId[]
  readonly contacts: readonly ContactRecord[]
  readonly unusable: readonly UnusableKey[]
}

const NO_RIVALS: Rivals = { keyIds: [], contacts: [], unusable: [] }

/**
 * Every other unblocked key with one of the sender's addresses, wherever it came from: contacts, claims at the servers
 * now, and the account itself when somebody else's key carries its address (design 9).
 */
async function findRivals(context: JudgingContext, account: Account, sender: Sender): Promise<Rivals> {
  const { read } = context.store
  const known = sender.addresses.flatMap((address) => contactsOf(read, account.id, address))
  const outcomes = await timed(context.clock, LOOKUP_TIME_MS, (signal) =>
    Promise.all(
      sender.addresses.map((address) =>
        context.lookup.byAddress(account.id, address, {
          signal,
          sourceMs: RIVAL_SOURCE_MS,
          maxAgeMs: RIVALS_KNOWN_FOR_MS,
        }),
      ),
    ),
  )
  const contacts = outcomes
    .flatMap(({ found, dropped }) => [...found, ...dropped])
    .filter(({ keyId }) => contactByKeyId(read, account.id, keyId)?.trust !== 'blocked')
  const keyIds = new Set([
    ...known.filter(({ trust }) => trust !== 'blocked').map(({ keyId }) => keyId),
    ...outcomes.flatMap(({ found }) => found.map(({ keyId }) => keyId)),
  ])
  if (sender.addresses.some((address) => isSameAddress(address, account.address))) keyIds.add(account.keyId)
  for (const keyId of keyIds) {
    const isBlocked = contactByKeyId(read, account.id, keyId)?.trust === 'blocked'
    if (isBlocked || keyId === sender.keyId) keyIds.delete(keyId)
  }
  return { keyIds: [...keyIds].sort(), contacts, unusable: outcomes.flatMap(({ unusable }) => unusable) }
}

/** The sender's certificate, and those of contacts the signature may be by, so that a foreign one is a mismatch. */
function certificatesOf(context: JudgingContext, given: Given, sender: Sender | undefined): string[] {
  const others = contactsBySuffix(context, given).flatMap(({ announcement }) => keyBlocksOf(announcement))
  if (sender === undefined) return others
  if (sender.revokedCertificate !== undefined) return [sender.revokedCertificate, ...others]
  return [...keyBlocksOf(sender.announcement), ...others]
}

function keyBlocksOf(announcement: string): string[] {
  const parsed = parseKeyAnnouncement(announcement)
  return parsed.kind === 'ok' ? [parsed.announcement.keyBlock] : []
}

/** Contacts besides the one in the From line. */
function contactsBySuffix({ store }: JudgingContext, { account, opened }: Given): StoredContact[] {
  return opened.signatureIssuers
    .flatMap((issuer) => contactsByKeySuffix(store.read, account.id, issuer))
    .filter(({ keyId }) => keyId !== opened.header.from.keyId)
}

interface Parts extends FoundSender {
  readonly judgment: JudgedMessage
  readonly collidingKeys: readonly KeyId[]
}

function combine(context: JudgingContext, given: Given, parts: Parts): JudgedInbound {
  const { opened, account, message } = given
  const { judgment, sender, collidingKeys, contacts } = parts
  const stored = sender === undefined ? undefined : storedTrust(context, account, { sender, contacts })
  const { signature, signer } = judgment.verdict
  const trust = sender === undefined ? undefined : trustWord(stored, collidingKeys.length > 0)
  const disposition = decideDisposition({
    kind: 'readable',
    signature,
    heldUntilMs: judgment.verdict.heldUntilMs,
    isNamed: message === undefined || judgment.isNamed,
    dateFault: judgment.dateFault,
    isFolderSync: message !== undefined && judgment.isFolderSync,
    work: workOf(message, signature === 'good' ? signer : undefined),
    hasCollision: trust === 'collision',
    isBlocked: trust === 'blocked',
  })
  const verdict: IncomingVerdict = {
    signature,
    reason: disposition.reason,
    show: disposition.show,
    signer: signature === 'good' || signature === 'mismatch' ? signer : undefined,
    trust,
    firstSeenMs: sender?.firstSeenMs,
    collidingKeys: trust === 'collision' ? collidingKeys : [],
    keyProblem: parts.keyProblem?.reason,
  }
  return {
    opened,
    sender,
    verdict,
    disposition,
    acknowledgmentSecret: judgment.receipt?.acknowledgmentSecret,
    bypassGrant: judgment.receipt?.bypassGrant,
    contacts: parts.contacts,
    fingerprint: signature === 'good' ? fingerprintOf(opened, signer) : null,
  }
}

/** What the owner and the sender's domain said of the key, this look-up included. */
function storedTrust(
  context: JudgingContext,
  account: Account,
  { sender, contacts }: { readonly sender: Sender; readonly contacts: readonly ContactRecord[] },
): StoredTrust | undefined {
  const { read } = context.store
  const { keyId, userId } = sender
  const before = vouchedAddresses(read, account.id, keyId).map(({ address }) => address)
  const now = contacts.filter((one) => one.keyId === keyId).flatMap((one) => one.vouchedAddresses ?? [])
  const stored = contactByKeyId(read, account.id, keyId)?.trust
  return ownTrust(stored, { userId, vouchedAddresses: [...before, ...now] })
}

/** A token spares the work only of the key it was issued to: another's is as if there were none (CM wire 6). */
function workOf(message: InboundMessage | undefined, provenSigner: KeyId | undefined): WorkResult {
  if (message === undefined) return 'unknown'
  if (!message.hasEnoughWork) return 'below'
  if (message.bypassKeyId === null) return 'met'
  return message.bypassKeyId === provenSigner ? 'bypassed' : 'below'
}

/** Signer, MessageUniqueId, Date, recipients and content: a sender must not be able to suppress a later mail (design 8.5). */
function fingerprintOf(opened: OpenedMessage, signer: KeyId | undefined): string {
  const { header } = opened
  const parts = [
    signer,
    header.messageUniqueId,
    header.date?.text,
    header.subject,
    header.recipients.map(({ type, keyId }) => [type, keyId]),
    [opened.bodyText, opened.bodyHtml, opened.bodyXml],
    opened.attachments.map(({ name, sha256 }) => [name, sha256]),
  ]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

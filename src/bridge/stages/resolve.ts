import { duration } from '../../base/clock.ts'
import { isSameAddress } from '../../mail/address.ts'
import { addressesOfKey, contactByKeyId } from '../../store/contact-queries.ts'
import type { RecipientResolution } from '../../store/outbound-operations.ts'
import {
  type OutboundMessage,
  type OutboundRecipient,
  outboundMessage,
  outboundRecipients,
} from '../../store/outbound-queries.ts'
import { type BridgeContext, hasLogin } from '../bridge-context.ts'
import { inParallel } from '../in-parallel.ts'
import type { UnusableKey } from '../key-lookup.ts'
import { recordOutcome } from '../lookup/record-outcome.ts'
import { workBeginsMs } from '../release-time.ts'
import { reportDelay } from '../report-delay.ts'
import { isGivenUp, retryDelayMs } from '../retry-delay.ts'
import { shownAddress } from '../shown-address.ts'
import { timed } from '../timed.ts'
import { bindAddress, contactsOf } from '../trust.ts'
import type { Stage } from '../worker.ts'

/** Who is still unresolved after this goes out later, alone; the rest does not wait (design 4). */
const SPLIT_AFTER_MS = 10 * duration.minute
/** Keys fetched longer ago than this are fetched again before they are encrypted to (design 7.8). */
const REFRESH_AFTER_MS = 7 * duration.day
/** Recipients looked up at a time: each takes a connection to every source. */
const SIDE_BY_SIDE = 8
/** One look-up; the stage is tried again when it is not enough. */
const LOOKUP_TIME_MS = 30 * duration.second

/**
 * Finds the key of every recipient that has none to encode with yet. Claims are looked up again each time, so that a
 * rival that came meanwhile stops the message to that recipient (design 7.2).
 */
export function createResolveStage(context: BridgeContext): Stage {
  return async ({ lease, failures }) => {
    const outboundId = Number(lease.row.slice(2))
    const message = outboundMessage(context.store.read, outboundId)
    if (message === undefined) return { kind: 'lease-lost' }
    const workedMs = context.clock.now() - beganMs(context, message)
    const open = outboundRecipients(context.store.read, outboundId).filter(
      ({ state, copyId }) => state === 'unresolved' || (state === 'resolved' && copyId === null),
    )
    const looked = await inParallel(open, SIDE_BY_SIDE, (recipient) =>
      resolveRecipient(context, { message, recipient, failures }),
    )
    const resolutions = looked.flatMap((one) => (one.kind === 'decided' ? [one.resolution] : []))
    const reasons = looked.flatMap((one) => (one.kind === 'unreachable' ? [one.reason] : []))
    await reportDelay(context, message)
    const outcome = await context.store.write('finishResolve', {
      lease,
      outboundId,
      resolutions,
      problem: [...new Set(reasons)].join('; '),
      encodeNow: workedMs >= SPLIT_AFTER_MS,
      retryDelayMs: nextTryMs(workedMs, retryDelayMs(failures, context.random())),
    })
    return outcome.kind === 'ok' ? { kind: 'moved', due: outcome.due } : outcome
  }
}

/** The try that splits the message comes when it is due, however far the others are apart by then. */
function nextTryMs(workedMs: number, delayMs: number): number {
  return workedMs < SPLIT_AFTER_MS ? Math.min(delayMs, SPLIT_AFTER_MS - workedMs) : delayMs
}

/** A message with a time goes to the own server before it: whoever has a key by then must not wait for the others. */
function beganMs({ store }: Pick<BridgeContext, 'store'>, message: OutboundMessage): number {
  const { accountId, releaseMs, acceptedMs } = message
  return workBeginsMs(releaseMs, hasLogin(store, accountId), acceptedMs)
}

/** `unreachable`: not known yet, tried again. */
async function resolveRecipient(
  context: BridgeContext,
  {
    message,
    recipient,
    failures,
  }: {
    readonly message: OutboundMessage
    readonly recipient: OutboundRecipient
    readonly failures: number
  },
): Promise<Looked> {
  const looked = recipient.pinned
    ? await refreshPinned(context, message, recipient)
    : await lookUpAddress(context, message, recipient)
  if (looked.kind !== 'unreachable') return looked
  if (!isGivenUp(context.clock.now() - message.dueMs, failures)) return looked
  const diagnostic = `no server could be asked for the key of ${recipient.address}: ${looked.reason}`
  return failed(recipient, '4.4.3', diagnostic)
}

type Looked =
  | { readonly kind: 'decided'; readonly resolution: RecipientResolution }
  | { readonly kind: 'unreachable'; readonly reason: string }

function failed(recipient: OutboundRecipient, statusCode: string, diagnostic: string): Looked {
  return {
    kind: 'decided',
    resolution: { recipientId: recipient.id, kind: 'failed', statusCode, diagnostic },
  }
}

function unusableKey(address: string, { reason }: UnusableKey): string {
  return `the key of ${shownAddress(address)} cannot be used: ${reason}`
}

async function lookUpAddress(
  context: BridgeContext,
  { accountId }: OutboundMessage,
  recipient: OutboundRecipient,
): Promise<Looked> {
  const { address } = recipient
  const outcome = await timed(context.clock, LOOKUP_TIME_MS, (signal) =>
    context.lookup.byAddress(accountId, address, { signal }),
  )
  await recordOutcome(context.store, { accountId, address, outcome })
  const binding = bindAddress(contactsOf(context.store.read, accountId, address))
  switch (binding.kind) {
    case 'collision':
      return failed(
        recipient,
        '5.1.4',
        `${binding.keyIds.length} keys claim ${shownAddress(address)}: ${binding.keyIds.join(' and ')}. Compare fingerprints with the owner and send again to the right one`,
      )
    case 'blocked':
      return failed(recipient, '5.7.1', `you blocked every key of ${shownAddress(address)}`)
    case 'none': {
      if (outcome.kind === 'unreachable') return { kind: 'unreachable', reason: outcome.reason }
      const [unusable] = outcome.unusable
      return unusable === undefined
        ? failed(recipient, '5.1.1', `no key is announced for ${shownAddress(address)}`)
        : failed(recipient, '5.7.5', unusableKey(address, unusable))
    }
    case 'one': {
      // A key we cannot ask about today is used as it is, unless it has not been seen for too long.
      const isStale = context.clock.now() - binding.contact.fetchedMs > REFRESH_AFTER_MS
      if (outcome.kind === 'unreachable' && isStale) return { kind: 'unreachable', reason: outcome.reason }
      const { keyId } = binding.contact
      const unusable = outcome.unusable.find((key) => key.keyId === keyId)
      if (unusable) return failed(recipient, '5.7.5', unusableKey(address, unusable))
      return { kind: 'decided', resolution: { recipientId: recipient.id, kind: 'resolved', keyId } }
    }
  }
}

async function refreshPinned(
  context: BridgeContext,
  { accountId }: OutboundMessage,
  recipient: OutboundRecipient,
): Promise<Looked> {
  const { keyId } = recipient
  if (keyId === null) throw new Error('a pinned recipient has a key id')
  const known = contactByKeyId(context.store.read, accountId, keyId)
  if (known?.trust === 'blocked') return failed(recipient, '5.7.1', `you blocked the key ${keyId}`)
  if (known === undefined || context.clock.now() - known.fetchedMs > REFRESH_AFTER_MS) {
    const outcome = await timed(context.clock, LOOKUP_TIME_MS, (signal) =>
      context.lookup.byKeyId(accountId, keyId, { hints: [], signal }),
    )
    await context.store.write('recordContacts', { accountId, contacts: outcome.found })
    const [found] = outcome.found
    if (found === undefined) {
      if (outcome.kind === 'unreachable') return { kind: 'unreachable', reason: outcome.reason }
      const [unusable] = outcome.unusable
      return unusable === undefined
        ? failed(recipient, '5.1.1', `no key ${keyId} is announced`)
        : failed(recipient, '5.7.5', unusableKey(recipient.address, unusable))
    }
  }
  // Also for a key that another message brought in meanwhile.
  const addresses = addressesOfKey(context.store.read, accountId, keyId) ?? []
  const isKeyAddress = recipient.address.toLowerCase().startsWith(`${keyId}@`)
  if (!isKeyAddress && !addresses.some((one) => isSameAddress(one, recipient.address))) {
    return failed(recipient, '5.1.4', `the key ${keyId} does not carry the address ${recipient.address}`)
  }
  return { kind: 'decided', resolution: { recipientId: recipient.id, kind: 'resolved', keyId } }
}

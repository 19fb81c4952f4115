import { duration } from '../../base/clock.ts'
import { indexMessage } from '../../mail/index-message.ts'
import {
  type OutboundMessage,
  type OutboundRecipient,
  outboundMessage,
  outboundRecipients,
} from '../../store/outbound-queries.ts'
import { type BridgeContext, requireAccount } from '../bridge-context.ts'
import { bridgeMail } from '../inbound-notices.ts'
import {
  encodeDeliveryReport,
  MAX_RETURNED_BYTES,
  type ReportedRecipient,
  type ReportKind,
} from '../reports/delivery-report.ts'
import { GIVE_UP_AFTER_MS } from '../retry-delay.ts'
import type { Stage, StageContext } from '../worker.ts'

/** Delivery reports (RFC 3464) into the sender's INBOX, for those who asked or were not told not to (RFC 3461 4.1). */
export function createReportStage(context: BridgeContext): Stage {
  return reportStage(context, dueReport)
}

/** The one report that says it takes long and is still tried (design 7.9). */
export function createDelayReportStage(context: BridgeContext): Stage {
  return reportStage(context, dueDelayReport)
}

type FindDue = (context: BridgeContext, message: OutboundMessage) => DueReport | undefined

function reportStage(context: BridgeContext, findDue: FindDue): Stage {
  return async (stage) => {
    const outboundId = Number(stage.lease.row.slice(2))
    const message = outboundMessage(context.store.read, outboundId)
    const due = message?.reportable === true ? findDue(context, message) : undefined
    if (message === undefined || due === undefined) {
      const ended = await context.store.write('skipReport', { lease: stage.lease })
      return ended === 'done' ? { kind: 'moved', due: [] } : { kind: 'lease-lost' }
    }
    const outcome = await deliver(context, stage, { message, ...due })
    if (outcome === 'lease-lost') return { kind: 'lease-lost' }
    // Looks again: each kind of end is a report of its own.
    return due.kind === 'delayed' ? { kind: 'moved', due: [] } : { kind: 'repeat', delayMs: 0 }
  }
}

interface DueReport {
  readonly kind: ReportKind
  readonly recipients: readonly OutboundRecipient[]
}

/** Failures first; the others get a report of their own when this one is out. */
function dueReport(context: BridgeContext, message: OutboundMessage): DueReport | undefined {
  const open = outboundRecipients(context.store.read, message.id).filter(
    ({ reportedMs }) => reportedMs === null,
  )
  const kinds: readonly (readonly [ReportKind, (recipient: OutboundRecipient) => boolean])[] = [
    ['failed', ({ state, notify }) => state === 'failed' && wantsFailure(notify)],
    ['not-confirmed', ({ state, notify }) => state === 'unconfirmed' && wantsFailure(notify)],
    ['delivered', ({ state, notify }) => state === 'acknowledged' && notify.includes('success')],
  ]
  for (const [kind, isDue] of kinds) {
    const recipients = open.filter(isDue)
    if (recipients.length > 0) return { kind, recipients }
  }
  return undefined
}

/** RFC 3461 4.1: without NOTIFY it is ours to choose, and people want to know. */
function dueDelayReport(context: BridgeContext, message: OutboundMessage): DueReport | undefined {
  const recipients = outboundRecipients(context.store.read, message.id).filter(
    ({ state, notify }) =>
      (state === 'unresolved' || state === 'resolved') && (notify.length === 0 || notify.includes('delay')),
  )
  return recipients.length === 0 ? undefined : { kind: 'delayed', recipients }
}

/** Without NOTIFY a failure is reported (RFC 3461 4.1). */
function wantsFailure(notify: readonly string[]): boolean {
  return notify.length === 0 || notify.includes('failure')
}

async function deliver(
  context: BridgeContext,
  stage: StageContext,
  report: DueReport & { readonly message: OutboundMessage },
): Promise<'done' | 'lease-lost'> {
  const { message, kind, recipients } = report
  const account = requireAccount(context, stage.accountId)
  const original = await readOriginal(context, message)
  const bytes = encodeDeliveryReport({
    ...bridgeMail(context, account),
    kind,
    message: {
      ...original,
      acceptedMs: message.acceptedMs,
      envelopeId: message.envelopeId,
    },
    recipients: recipients.map((recipient) => reported(recipient, kind)),
    givesUpMs: kind === 'delayed' ? message.dueMs + GIVE_UP_AFTER_MS : null,
  })
  const sink = await context.store.beginSpool(account.id)
  await sink.write(bytes)
  const spooled = await sink.finish()
  return context.store.write('deliverReport', {
    lease: stage.lease,
    accountId: account.id,
    message: context.store.draftMessage(spooled, await indexMessage(spooled.read())),
    recipientIds: recipients.map(({ id }) => id),
    isDelay: kind === 'delayed',
    outboundId: message.id,
  })
}

function reported(recipient: OutboundRecipient, kind: ReportKind): ReportedRecipient {
  const words: Record<ReportKind, readonly [string, string]> = {
    failed: [recipient.statusCode ?? '5.0.0', recipient.diagnostic ?? 'it could not be sent'],
    'not-confirmed': ['4.4.7', `no acknowledgment came within ${UNCONFIRMED_DAYS} days`],
    delivered: ['2.0.0', 'the recipient’s program acknowledged it'],
    delayed: ['4.0.0', 'it is still being tried'],
  }
  const [enhancedStatusCode, reason] = words[kind]
  return {
    address: recipient.address,
    originalRecipient: recipient.originalRecipient,
    enhancedStatusCode,
    reason,
    lastAttemptMs: recipient.postedMs,
  }
}

/** Days after which a message without acknowledgment is reported as not confirmed (design 4). */
const UNCONFIRMED_DAYS = (10 * duration.day) / duration.day

async function readOriginal(
  context: BridgeContext,
  message: OutboundMessage,
): Promise<{ readonly header: Uint8Array; readonly content: Uint8Array | null }> {
  const open = () => {
    const bytes = context.store.readBlob(message.blobId)
    if (bytes === undefined) throw new Error('the bytes of an outbound message are gone')
    return bytes
  }
  const { headerBytes, size } = await indexMessage(open())
  if (message.returnContent !== 'full' || size > MAX_RETURNED_BYTES)
    return { header: headerBytes, content: null }
  const chunks: Uint8Array[] = []
  for await (const chunk of open()) chunks.push(chunk)
  return { header: headerBytes, content: Buffer.concat(chunks) }
}

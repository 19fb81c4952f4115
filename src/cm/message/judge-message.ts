import { duration } from '../../base/clock.ts'
import { Secret } from '../../base/secret.ts'
import type { KeyId } from '../ids.ts'
import type { BadSignatureReason, DetachedVerdict } from '../signature-verdict.ts'
import type { BypassGrant } from './ack-file.ts'
import { verifyDetachedFile } from './crypto-files.ts'
import type { OpenedMessage } from './decode-message.ts'
import type { DateFault, SignatureWord } from './disposition.ts'
import type { MessageHeader } from './header-txt.ts'

/** Who wrote an opened message, and whether it is for us (CM message 5.5 and weaknesses 14.3, 14.4). */

interface SignatureVerdict {
  readonly signature: SignatureWord
  /** Primary key of the signer; only with `good` and `mismatch` is it proved. */
  readonly signer: KeyId | undefined
  /** Why not good; undefined with `good`. */
  readonly reason: VerdictReason | undefined
  /** The signature is true but lies ahead of our clock: judge again then, never freeze it as bad (design 8.5). */
  readonly heldUntilMs: number | undefined
}

type VerdictReason =
  | BadSignatureReason
  | 'not-signed'
  | 'unknown-key'
  | 'signer-is-not-from'
  | 'signed-in-future'

/** What a message that verified entitles to; absent for any other. */
interface Receipt {
  /** 20 octets to post as the acknowledgment, to the KeyTransport of the signer. */
  readonly acknowledgmentSecret: Secret<Uint8Array> | undefined
  /** To be filed under the signer. */
  readonly bypassGrant: Secret<BypassGrant> | undefined
}

export interface JudgedMessage {
  readonly verdict: SignatureVerdict
  readonly isNamed: boolean
  readonly dateFault: DateFault | undefined
  /** The reference's own traffic between one user's devices (CM message 7.1). */
  readonly isFolderSync: boolean
  readonly receipt: Receipt | undefined
}

export interface JudgeContext {
  /** Our key; undefined when only the signature is of interest, then nobody is named. */
  readonly owner: KeyId | undefined
  /**
   * Armored certificates that may have signed: that of `header.from.keyId` when it is known, and any other known key
   * that fits `signatureIssuers`, so that a foreign signature is a mismatch and not an unknown key.
   */
  readonly certificates: readonly string[]
  readonly nowMs: number
  /** Where verification runs; a worker task. */
  readonly verify?: typeof verifyDetachedFile
}

/** How far header Date and signature may lie apart, and Date ahead of us: encoding a huge message takes minutes. */
const DATE_TOLERANCE_MS = duration.day

/** Verifies the signature and answers what design 8.5 asks. The file behind `opened.zip` must still be there. */
export async function judgeMessage(opened: OpenedMessage, context: JudgeContext): Promise<JudgedMessage> {
  const { header } = opened
  const detached = await verifySignature(opened, context)
  const verdict = detached === undefined ? NOT_SIGNED : toVerdict(detached, header.from.keyId)
  const { owner } = context
  const isNamed = header.recipients.some(({ keyId }) => keyId === owner)
  const isGood = verdict.signature === 'good'
  return {
    verdict,
    isNamed,
    dateFault: dateFault(header, context.nowMs, detached),
    isFolderSync:
      isGood && owner !== undefined && verdict.signer === owner && isFolderSyncHeader(header, owner),
    receipt: isGood && isNamed ? receiptOf(opened) : undefined,
  }
}

const NOT_SIGNED: SignatureVerdict = {
  signature: 'none',
  signer: undefined,
  reason: 'not-signed',
  heldUntilMs: undefined,
}

async function verifySignature(
  opened: OpenedMessage,
  context: JudgeContext,
): Promise<DetachedVerdict | undefined> {
  if (opened.signature.length === 0) return undefined
  const { certificates, nowMs, verify = verifyDetachedFile } = context
  return await verify({ ...opened.zip, signature: opened.signature, certificates, nowMs })
}

function toVerdict(detached: DetachedVerdict, from: KeyId): SignatureVerdict {
  if (detached.kind === 'unknown-key') return notGood('unknown-key', 'unknown-key')
  if (detached.kind === 'bad') return notGood('bad', detached.reason, detached.signer)
  const { signer } = detached
  if (signer !== from) return notGood('mismatch', 'signer-is-not-from', signer)
  if (detached.kind === 'future') {
    return { ...notGood('bad', 'signed-in-future', signer), heldUntilMs: detached.notBeforeMs }
  }
  return { signature: 'good', signer, reason: undefined, heldUntilMs: undefined }
}

function notGood(signature: SignatureWord, reason: VerdictReason, signer?: KeyId): SignatureVerdict {
  return { signature, signer, reason, heldUntilMs: undefined }
}

function dateFault(
  header: MessageHeader,
  nowMs: number,
  detached: DetachedVerdict | undefined,
): DateFault | undefined {
  const dateMs = header.date?.ms
  if (dateMs === undefined) return 'date-unreadable'
  if (dateMs > nowMs + DATE_TOLERANCE_MS) return 'date-ahead'
  const isSigned = detached?.kind === 'good'
  if (isSigned && Math.abs(dateMs - detached.createdMs) > DATE_TOLERANCE_MS) return 'date-not-signing-time'
  return undefined
}

/** CM message 7.1: subject with the own key id in upper case, from and to the own key alone. */
function isFolderSyncHeader(header: MessageHeader, owner: KeyId): boolean {
  const [recipient, ...others] = header.recipients
  return (
    header.subject === `_FOLDER_SYNC_MESSAGE_${owner.toUpperCase()}` &&
    recipient?.type === 'to' &&
    recipient.keyId === owner &&
    others.length === 0
  )
}

function receiptOf(opened: OpenedMessage): Receipt {
  const { acknowledgmentSecret, bypassGrant } = opened.acknowledgment
  return {
    acknowledgmentSecret: acknowledgmentSecret === undefined ? undefined : new Secret(acknowledgmentSecret),
    bypassGrant: bypassGrant === undefined ? undefined : new Secret(bypassGrant),
  }
}

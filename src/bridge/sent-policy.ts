import type { Clock } from '../base/clock.ts'
import { messageIdOf } from '../mail/message-id.ts'
import type { AccountMailPolicy } from '../store/account-mail.ts'
import type { PendingAppend } from '../store/append-sink.ts'
import type { AccountId } from '../store/ids.ts'
import type { Store } from '../store/open-store.ts'
import { SENT } from '../store/sent-copy.ts'
import { RESUBMISSION_WINDOW_MS } from '../store/submission-operations.ts'
import { submissionByContent, submissionByMessageId } from '../store/submission-queries.ts'
import { contentDigest } from './mime/content-digest.ts'

export interface SentPolicyOptions {
  readonly store: Store
  readonly clock: Clock
  readonly accountId: AccountId
  /** The app password of the session. */
  readonly login: string
}

/**
 * One copy in Sent (design 7.10): what the client appends there is the Sent copy of the submission with the same
 * Message-ID; without one on the submission, of that with the same content from the same login. Two mails with equal
 * text and different Message-IDs stay two.
 */
export function createSentPolicy(options: SentPolicyOptions): AccountMailPolicy {
  const { store, accountId } = options
  return {
    async beforeAppend(append) {
      if (append.mailboxName !== SENT) return undefined
      const outboundId = await findSubmission(options, append)
      if (outboundId === undefined) return undefined
      return store.write('appendSentCopy', {
        accountId,
        outboundId,
        message: append.draft,
        flags: append.flags,
        internalDateMs: append.internalDateMs,
      })
    },
  }
}

async function findSubmission(
  { store, clock, accountId, login }: SentPolicyOptions,
  append: PendingAppend,
): Promise<number | undefined> {
  const sinceMs = clock.now() - RESUBMISSION_WINDOW_MS
  const messageId = messageIdOf(append.index.envelope.messageId)
  if (messageId !== null) {
    const found = submissionByMessageId(store.read, accountId, { messageId, sinceMs })
    if (found !== undefined) return found
  }
  const digest = await contentDigest(append.spooled.read())
  return submissionByContent(store.read, accountId, { contentDigest: digest, login, sinceMs })
}

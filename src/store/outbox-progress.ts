import { CM_KEYWORDS, type Flag } from '../mail/flags.ts'
import { changeMessageFlags } from './message-flag-rows.ts'
import { deleteMessages } from './message-rows.ts'
import type { WriteTransaction } from './operation.ts'
import { forgetOutboxPlace, outboxPlace } from './outbox-rows.ts'

/** The words of the Outbox (design 7.10, 7.11); a message has one of them at a time. */
const PROGRESS_KEYWORDS: readonly Flag[] = [
  CM_KEYWORDS.held,
  CM_KEYWORDS.lookup,
  CM_KEYWORDS.work,
  CM_KEYWORDS.sending,
  CM_KEYWORDS.failed,
]

/** Shows how far an outbound message is. */
export function showProgress(tx: WriteTransaction, outboundId: number, keyword: Flag): void {
  const place = outboxPlace(tx, outboundId)
  if (place === undefined) return
  changeMessageFlags(tx, place.mailbox, {
    uids: [place.uid],
    flags: [keyword],
    apply: (current, given) => ({
      systemFlags: current.systemFlags,
      keywords: [
        ...current.keywords.filter((known) => !PROGRESS_KEYWORDS.includes(known)),
        ...given.keywords,
      ],
    }),
  })
}

/** The message is on its way or done: it leaves the Outbox. */
export function leaveOutbox(tx: WriteTransaction, outboundId: number): void {
  const place = outboxPlace(tx, outboundId)
  if (place === undefined) return
  forgetOutboxPlace(tx, outboundId)
  deleteMessages(tx, place.mailbox, [place.uid])
}

import { type Context, type SelectedMailbox, tableCommand } from '../command.ts'
import { type FetchAttribute, setsSeen } from '../fetch-item.ts'
import { fetchItems, needsOnlyView, orderAttributes } from '../fetch-message.ts'
import { FETCH_BATCH_MESSAGES, FETCH_SEEN_BATCH_MESSAGES } from '../limits.ts'
import type { ViewedMessage } from '../mailbox-view.ts'
import { MessageContent } from '../message-content.ts'
import { completed, namedMessages } from '../message-set.ts'
import { parseFetchAttributes } from '../parse-fetch.ts'
import type { MessageRecord, Uid } from '../port.ts'
import type { Untagged } from '../response.ts'

/** FETCH and UID FETCH (RFC 9051 6.4.5). */
export const fetch = tableCommand({
  name: 'FETCH',
  states: ['selected'],
  hasUidForm: true,
  expunges: 'held',
  parse(p) {
    p.sp()
    const set = p.sequenceSet()
    p.sp()
    const attributes = parseFetchAttributes(p)
    p.end()
    return { set, attributes }
  },
  async *run(context: Context<'selected'>, { set, attributes }) {
    const { state, isUid } = context
    const messages = namedMessages(state.selected, set, isUid)
    const ordered = orderAttributes(attributes, isUid)
    if (needsOnlyView(ordered)) {
      for (const message of messages) yield* fetchFromView(state.selected, message, ordered)
      return completed('FETCH', isUid, 0)
    }
    let missing = 0
    const batchSize = ordered.some(setsSeen) ? FETCH_SEEN_BATCH_MESSAGES : FETCH_BATCH_MESSAGES
    for (let start = 0; start < messages.length; start += batchSize) {
      const batch = messages.slice(start, start + batchSize)
      const answered = yield* fetchBatch(state.selected, batch, ordered)
      missing += batch.length - answered
    }
    return completed('FETCH', isUid, missing)
  },
})

function* fetchFromView(
  { view }: SelectedMailbox,
  { seqNum, uid }: ViewedMessage,
  attributes: readonly FetchAttribute[],
): Generator<Untagged, void> {
  const items = attributes.map(({ kind }) =>
    kind === 'UID' ? ({ kind, uid } as const) : ({ kind: 'FLAGS', flags: view.tellFlags(uid) } as const),
  )
  for (const item of items) if (item.kind === 'FLAGS') yield* view.learnFlags(item.flags)
  yield { kind: 'FETCH', seqNum, items }
}

/** Answers for those of the messages that are still there; returns how many. */
async function* fetchBatch(
  selected: SelectedMailbox,
  batch: readonly ViewedMessage[],
  attributes: readonly FetchAttribute[],
): AsyncGenerator<Untagged, number> {
  const seqNums = new Map(batch.map(({ uid, seqNum }) => [uid, seqNum]))
  const newlySeen = await markSeen(selected, batch, attributes)
  let answered = 0
  for await (const record of selected.mailbox.fetch([...seqNums.keys()])) {
    const seqNum = seqNums.get(record.uid)
    if (seqNum === undefined) continue
    answered += 1
    yield* fetchRecord(selected, { record, seqNum, isNewlySeen: newlySeen.has(record.uid) }, attributes)
  }
  return answered
}

async function* fetchRecord(
  { mailbox, view }: SelectedMailbox,
  found: { readonly record: MessageRecord; readonly seqNum: number; readonly isNewlySeen: boolean },
  attributes: readonly FetchAttribute[],
): AsyncGenerator<Untagged, void> {
  const { record, seqNum, isNewlySeen } = found
  const hasFlags = attributes.some(({ kind }) => kind === 'FLAGS')
  const all: readonly FetchAttribute[] =
    isNewlySeen && !hasFlags ? [...attributes, { kind: 'FLAGS' }] : attributes
  if (hasFlags || isNewlySeen) {
    view.told(record)
    yield* view.learnFlags(record.flags)
  }
  yield { kind: 'FETCH', seqNum, items: await fetchItems(record, all, new MessageContent(mailbox, record)) }
}

/** Sets `\Seen` where these attributes do (never in a mailbox opened by EXAMINE); the new flags go into the answer. */
async function markSeen(
  { mailbox, view, isReadOnly }: SelectedMailbox,
  batch: readonly ViewedMessage[],
  attributes: readonly FetchAttribute[],
): Promise<ReadonlySet<Uid>> {
  if (isReadOnly || !attributes.some(setsSeen)) return new Set()
  const unseen = batch.filter(({ flags }) => !flags.includes('\\Seen')).map(({ uid }) => uid)
  if (unseen.length === 0) return new Set()
  const outcome = await mailbox.storeFlags(unseen, 'add', ['\\Seen'])
  view.stored(outcome, { mode: 'add', flags: ['\\Seen'], silent: false })
  return new Set(outcome.map(({ uid }) => uid))
}

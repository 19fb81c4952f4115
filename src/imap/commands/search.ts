import { breathe } from '../breathe.ts'
import { type SelectedMailbox, tableCommand } from '../command.ts'
import { FETCH_BATCH_MESSAGES } from '../limits.ts'
import type { ViewedMessage } from '../mailbox-view.ts'
import { parseSearchProgram } from '../parse-search.ts'
import type { SearchKey, SearchLeaf } from '../search-key.ts'
import { matchesRecord, type ResolveSet, truthInView } from '../search-message.ts'
import { type NumberRange, normalizeSet } from '../sequence-set.ts'

/**
 * SEARCH and UID SEARCH (RFC 9051 6.4.4). Most keys are decided by the view or the index; a message is opened only
 * where BODY or TEXT decides. A sequence number past the last message matches nothing here.
 */
export const search = tableCommand({
  name: 'SEARCH',
  states: ['selected'],
  hasUidForm: true,
  expunges: 'held',
  parse(p) {
    const key = parseSearchProgram(p)
    p.end()
    return key
  },
  async *run({ state, isUid }, key) {
    const found = await findMessages(state.selected, key)
    yield { kind: 'SEARCH', numbers: found.map(({ seqNum, uid }) => (isUid ? uid : seqNum)) }
    return { status: 'OK', text: `${isUid ? 'UID ' : ''}SEARCH completed` }
  },
})

async function findMessages(selected: SelectedMailbox, key: SearchKey): Promise<readonly ViewedMessage[]> {
  const resolve = createResolver(selected)
  const matched: ViewedMessage[] = []
  const open: ViewedMessage[] = []
  for (const message of selected.view.messages()) {
    if (message.seqNum % FETCH_BATCH_MESSAGES === 0) await breathe()
    const truth = truthInView(key, message, resolve)
    if (truth === true) matched.push(message)
    else if (truth === undefined) open.push(message)
  }
  for (let start = 0; start < open.length; start += FETCH_BATCH_MESSAGES) {
    await breathe()
    const batch = open.slice(start, start + FETCH_BATCH_MESSAGES)
    for await (const message of matchingRecords(selected, batch, { key, resolve })) matched.push(message)
  }
  return matched.sort((a, b) => a.seqNum - b.seqNum)
}

/** Those of the messages that match by what the store knows of them; one that is gone matches nothing. */
async function* matchingRecords(
  { mailbox }: SelectedMailbox,
  batch: readonly ViewedMessage[],
  { key, resolve }: { readonly key: SearchKey; readonly resolve: ResolveSet },
): AsyncGenerator<ViewedMessage, void> {
  const byUid = new Map(batch.map((message) => [message.uid, message]))
  for await (const record of mailbox.fetch([...byUid.keys()])) {
    const message = byUid.get(record.uid)
    if (message !== undefined && (await matchesRecord(key, { message, record, mailbox }, resolve)))
      yield message
  }
}

/** Resolves each set of the key once; `*` is the last message. */
function createResolver({ view }: SelectedMailbox): ResolveSet {
  const resolved = new Map<SearchLeaf, readonly NumberRange[]>()
  return (leaf) => {
    const known = resolved.get(leaf)
    if (known !== undefined) return known
    const ranges = normalizeSet(leaf.set, leaf.kind === 'uid' ? view.lastUid : view.size)
    resolved.set(leaf, ranges)
    return ranges
  }
}

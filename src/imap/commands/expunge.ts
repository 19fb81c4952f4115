import { tableCommand } from '../command.ts'
import { requireWritable } from '../message-set.ts'

/** EXPUNGE (RFC 9051 6.4.3) and UID EXPUNGE (RFC 4315 2.1). The session tells the EXPUNGEs behind it. */
export const expunge = tableCommand({
  name: 'EXPUNGE',
  states: ['selected'],
  hasUidForm: true,
  // uid-expunge = "UID" SP "EXPUNGE" SP sequence-set
  parse(p, isUid) {
    if (isUid) p.sp()
    const set = isUid ? p.sequenceSet() : null
    p.end()
    return { set }
  },
  async *run({ state, isUid }, { set }) {
    const { selected } = state
    requireWritable(selected)
    const uids = set === null ? undefined : selected.view.byUid(set).map(({ uid }) => uid)
    selected.view.removed(await selected.mailbox.expunge(uids))
    return { status: 'OK', text: `${isUid ? 'UID ' : ''}EXPUNGE completed` }
  },
})

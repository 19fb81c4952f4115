import { tableCommand } from '../command.ts'
import { completed, namedMessages, requireWritable } from '../message-set.ts'
import type { StoreFlagsMode } from '../port.ts'

const MODES: Readonly<Record<string, StoreFlagsMode>> = { '': 'replace', '+': 'add', '-': 'remove' }

/** STORE (RFC 9051 6.4.6). The session tells the new flags behind it, with the UID. */
export const store = tableCommand({
  name: 'STORE',
  states: ['selected'],
  hasUidForm: true,
  expunges: 'held',
  // store = "STORE" SP sequence-set SP store-att-flags
  // store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
  parse(p) {
    p.sp()
    const set = p.sequenceSet()
    p.sp()
    const item = p.matching('store-att-flags', /[+-]?flags(?:\.silent)?(?=[ ])/iy).toLowerCase()
    p.sp()
    const flags = p.flags()
    p.end()
    const mode = MODES[item.replace(/[a-z.]+$/, '')] ?? 'replace'
    return { set, store: { mode, flags, silent: item.endsWith('.silent') } }
  },
  async *run({ state, isUid }, { set, store }) {
    const { selected } = state
    requireWritable(selected)
    const uids = namedMessages(selected, set, isUid).map(({ uid }) => uid)
    const outcome = uids.length === 0 ? [] : await selected.mailbox.storeFlags(uids, store.mode, store.flags)
    selected.view.stored(outcome, store)
    return completed('STORE', isUid, uids.length - outcome.length)
  },
})

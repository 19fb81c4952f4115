import { tableCommand } from '../command.ts'
import { HIERARCHY_DELIMITER } from '../mailbox-name.ts'
import { mailboxReply } from '../mailbox-reply.ts'

/** RENAME (RFC 9051 6.3.6). INBOX keeps its place and gives its messages away; that is the store's to do. */
export const rename = tableCommand({
  name: 'RENAME',
  states: ['authenticated', 'selected'],
  // rename = "RENAME" SP mailbox SP mailbox
  parse(p) {
    p.sp()
    const from = p.mailbox()
    p.sp()
    const to = p.mailbox()
    p.end()
    return { from, to: to.endsWith(HIERARCHY_DELIMITER) ? to.slice(0, -1) : to }
  },
  async *run({ state }, { from, to }) {
    if (/[*%]/.test(to)) {
      return { status: 'NO', code: { kind: 'CANNOT' }, text: 'A mailbox name cannot have wildcards in it' }
    }
    return mailboxReply('RENAME', await state.account.renameMailbox(from, to))
  },
})

import { tableCommand } from '../command.ts'
import { parseMailboxArgument } from '../mailbox-argument.ts'
import { mailboxReply } from '../mailbox-reply.ts'

/** UNSUBSCRIBE (RFC 9051 6.3.8). */
export const unsubscribe = tableCommand({
  name: 'UNSUBSCRIBE',
  states: ['authenticated', 'selected'],
  parse: parseMailboxArgument,
  async *run({ state }, mailboxName) {
    return mailboxReply('UNSUBSCRIBE', await state.account.setSubscribed(mailboxName, false))
  },
})

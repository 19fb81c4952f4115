import { tableCommand } from '../command.ts'
import { parseMailboxArgument } from '../mailbox-argument.ts'
import { mailboxReply } from '../mailbox-reply.ts'

/** SUBSCRIBE (RFC 9051 6.3.7). */
export const subscribe = tableCommand({
  name: 'SUBSCRIBE',
  states: ['authenticated', 'selected'],
  parse: parseMailboxArgument,
  async *run({ state }, mailboxName) {
    return mailboxReply('SUBSCRIBE', await state.account.setSubscribed(mailboxName, true))
  },
})

import { tableCommand } from '../command.ts'
import { parseMailboxArgument } from '../mailbox-argument.ts'
import { mailboxReply } from '../mailbox-reply.ts'

/**
 * DELETE (RFC 9051 6.3.5). Deleting the mailbox that is selected here leaves this session without one; other sessions
 * that have it open end with BYE.
 */
export const deleteCommand = tableCommand({
  name: 'DELETE',
  states: ['authenticated', 'selected'],
  parse: parseMailboxArgument,
  async *run({ state }, mailboxName) {
    const { account } = state
    const reply = mailboxReply('DELETE', await account.deleteMailbox(mailboxName))
    const isOpenHere = state.name === 'selected' && state.selected.mailbox.name === mailboxName
    return reply.status === 'OK' && isOpenHere
      ? { ...reply, state: { name: 'authenticated', account } }
      : reply
  },
})

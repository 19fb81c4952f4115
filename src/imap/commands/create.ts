import { tableCommand } from '../command.ts'
import { parseMailboxArgument } from '../mailbox-argument.ts'
import { HIERARCHY_DELIMITER } from '../mailbox-name.ts'
import { mailboxReply } from '../mailbox-reply.ts'

/** CREATE (RFC 9051 6.3.4). A delimiter at the end only says that children will follow; it is no part of the name. */
export const create = tableCommand({
  name: 'CREATE',
  states: ['authenticated', 'selected'],
  parse: parseMailboxArgument,
  async *run({ state }, mailboxName) {
    const name = mailboxName.endsWith(HIERARCHY_DELIMITER) ? mailboxName.slice(0, -1) : mailboxName
    if (/[*%]/.test(name)) {
      return { status: 'NO', code: { kind: 'CANNOT' }, text: 'A mailbox name cannot have wildcards in it' }
    }
    return mailboxReply('CREATE', await state.account.createMailbox(name))
  },
})

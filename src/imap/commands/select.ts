import { tableCommand } from '../command.ts'
import { parseMailboxArgument } from '../mailbox-argument.ts'
import { selectMailbox } from '../select-mailbox.ts'

/** SELECT (RFC 9051 6.3.2). */
export const select = tableCommand({
  name: 'SELECT',
  states: ['authenticated', 'selected'],
  parse: parseMailboxArgument,
  run: (context, mailboxName) => selectMailbox(context, mailboxName, false),
})

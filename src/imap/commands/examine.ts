import { tableCommand } from '../command.ts'
import { parseMailboxArgument } from '../mailbox-argument.ts'
import { selectMailbox } from '../select-mailbox.ts'

/** EXAMINE (RFC 9051 6.3.3): SELECT, read-only. */
export const examine = tableCommand({
  name: 'EXAMINE',
  states: ['authenticated', 'selected'],
  parse: parseMailboxArgument,
  run: (context, mailboxName) => selectMailbox(context, mailboxName, true),
})

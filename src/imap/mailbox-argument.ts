import type { Parser } from './parser.ts'

// SP mailbox, the only argument of several commands
export function parseMailboxArgument(p: Parser): string {
  p.sp()
  const mailboxName = p.mailbox()
  p.end()
  return mailboxName
}
